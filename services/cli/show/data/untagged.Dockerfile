FROM debian
RUN apt-get update && apt-get install --yes --no-install-recommends netbase tzdata
USER 65532
