#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Is the other server still up? Exit 0 if PEER (HOST:PORT) accepts a connection within 5 s.
peer=${PEER:-127.0.0.1:22}
if timeout 5 bash -c "exec 3<>/dev/tcp/${peer%:*}/${peer##*:}" 2>/dev/null; then
    echo "$peer is up"
else
    echo "$peer does not answer" >&2
    exit 1
fi
