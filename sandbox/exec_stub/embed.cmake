# cmake -DPROGRAM=… -DHEADER=… -P embed.cmake: the bytes of the program as a C++ array.
file(READ ${PROGRAM} bytes HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
file(WRITE ${HEADER} "// Generated from sandbox/exec_stub/stub.cpp.
#pragma once

namespace mkimg::sandbox {

inline constexpr unsigned char exec_stub[] = {${bytes}};

}  // namespace mkimg::sandbox
")
