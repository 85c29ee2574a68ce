FROM base
ENV EMPTY="" SET=set
ENV A="" B=word C=word D=word E="" F=set
