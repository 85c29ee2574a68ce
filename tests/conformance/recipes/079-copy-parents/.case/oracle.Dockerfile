FROM base
COPY src/deep/two.txt /p/src/deep/
COPY src/one.txt /p/src/
COPY src/deep/er /pivot/deep/er
COPY src/deep/er/three.txt /starstar/src/deep/er/
