// What libcurl's functions for LDAP, RTMP and Kerberos would call, in a program that is linked without their libraries
// (cmake/Curl.cmake). The options of curl_transport.cpp keep it from ever being reached.
#include <cstdio>
#include <cstdlib>

extern "C" [[noreturn]] void mkimg_unspoken_protocol();

void mkimg_unspoken_protocol() {
    std::fputs("mkimg: libcurl was led to a protocol that mkimg does not speak; this is a fault of mkimg's own\n",
               stderr);
    std::abort();
}
