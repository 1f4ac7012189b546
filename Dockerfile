# syntax=docker/dockerfile:1
# One static program in an otherwise empty image: no shell, no package to patch.
#
#   docker build --build-arg VERSION=$(git describe --tags --always) -t gistmill .
#
# For several platforms: docker buildx build --platform linux/amd64,linux/arm64 .

# The compiler runs on the builder's own platform and cross-compiles, so that no
# emulation is needed.
FROM --platform=$BUILDPLATFORM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=unknown
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION" -o /out/gistmill ./cmd/gistmill
# What the program expects of a file system: somewhere to work, somewhere for
# temporary files.
RUN mkdir -p /out/root/work /out/root/tmp && chmod 1777 /out/root/tmp && chown 65532:65532 /out/root/work

FROM scratch
# To trust the endpoint, the bucket and the database.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/root/ /
COPY --from=build /out/gistmill /gistmill
# As numbers, so that Kubernetes can tell that it is not root.
USER 65532:65532
WORKDIR /work
ENTRYPOINT ["/gistmill"]
