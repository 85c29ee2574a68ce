FROM base
RUN echo "by awk" > /awk
