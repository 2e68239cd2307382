#!/bin/sh
# usage: check-api PORT ATTEMPTS
# Succeeds when the load balancer of this host serves and an API server behind it is ready. keepalived runs it.
set -u

attempt=0
while [ "$attempt" -lt "$2" ]; do
    attempt=$((attempt + 1))
    # The request carries no secret, and nothing of the answer is used but its status: the server need not be verified.
    # 401 is the answer of an API server whose settings close its health to requests without a certificate.
    status=$(curl --silent --insecure --max-time 1 --noproxy '*' --output /dev/null --write-out '%{http_code}' \
        "https://127.0.0.1:$1/readyz")
    case $status in
        200 | 401) exit 0 ;;
    esac
    # Nginx takes turns: the next connection leads to another API server.
done
exit 1
