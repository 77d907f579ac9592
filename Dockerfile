# Build: docker build -t clinicgate .
# Set up, once; the folders are the container user's:
#   install -d -o 65532 -g 65532 /etc/clinicgate      # with Caddyfile and platform.yaml of config/
#   docker run --rm -v clinicgate-state:/var/lib/clinicgate -v /etc/clinicgate:/etc/clinicgate \
#     clinicgate keys init --config /etc/clinicgate/Caddyfile
# Run:
#   docker run -p 80:80 -p 443:443 -p 443:443/udp \
#     -v clinicgate-state:/var/lib/clinicgate -v /etc/clinicgate:/etc/clinicgate:ro clinicgate
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/gateway ./gateway \
 && mkdir -p /out/var/lib/clinicgate /out/run/clinicgate \
 && chmod 0700 /out/var/lib/clinicgate /out/run/clinicgate

# Nothing but the binary, the roots that ACME and identity providers are checked
# with, the time zones, and two folders. There is no shell to break into.
FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /usr/local/go/lib/time/zoneinfo.zip /zoneinfo.zip
COPY --from=build --chown=65532:65532 /out/var /var
COPY --from=build --chown=65532:65532 /out/run /run
COPY --from=build /out/gateway /gateway
USER 65532:65532
# Ports below 1024 need no privilege in a container's own network namespace
# (net.ipv4.ip_unprivileged_port_start is 0 there).
EXPOSE 80 443 443/udp
VOLUME ["/var/lib/clinicgate"]
ENV ZONEINFO=/zoneinfo.zip XDG_DATA_HOME=/var/lib/clinicgate XDG_CONFIG_HOME=/var/lib/clinicgate
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s CMD ["/gateway", "health", "--config", "/etc/clinicgate/Caddyfile"]
ENTRYPOINT ["/gateway"]
CMD ["run", "--config", "/etc/clinicgate/Caddyfile"]
