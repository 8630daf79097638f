# The images: one static program each, nothing else, a numeric user.
#
# `make image` builds the programs first and passes their folder as the context, so that an image needs no base image, no
# compiler image and no network:
#
#     docker build --target sidekey-agent --build-arg ARCH=x86_64 -t sidekey-agent:dev -f Dockerfile target/image
#
# ARCH is a folder of the context, named as `uname -m` prints it: x86_64 or aarch64.
ARG ARCH=x86_64

FROM scratch AS sidekey-agent
ARG ARCH
COPY ${ARCH}/sidekey-agent /sidekey-agent
USER 65532:65532
ENTRYPOINT ["/sidekey-agent"]

# The agent and busybox, for pods whose commands need a shell or its programs (settings `toolsImage`).
FROM sidekey-agent AS sidekey-agent-tools
ARG ARCH
COPY ${ARCH}/tools/ /

FROM scratch AS sidekey
ARG ARCH
COPY ${ARCH}/sidekey /sidekey
USER 65532:65532
ENTRYPOINT ["/sidekey"]

# The app of the cluster tests (e2e/probe).
FROM scratch AS probe
ARG ARCH
COPY ${ARCH}/probe /probe
USER 65532:65532
ENTRYPOINT ["/probe"]
