# libcurl with what HTTP and TLS need of its libraries, linked like the others: to load Debian's shared one, with the
# thirty that it brings, takes as long as a whole push with nothing new.
mkimg_dependency(curl curl/curl.h)
if(MKIMG_LIB_curl MATCHES "\\.a$")
  mkimg_dependency(ssl openssl/ssl.h)
  mkimg_dependency(nghttp2 nghttp2/nghttp2.h)
  mkimg_dependency(ssh2 libssh2.h)
  mkimg_dependency(psl libpsl.h)
  mkimg_dependency(idn2 idn2.h)
  mkimg_dependency(unistring unistr.h)
  mkimg_dependency(brotlidec brotli/decode.h)
  mkimg_dependency(brotlicommon brotli/types.h)
  target_link_libraries(mkimg::ssl INTERFACE mkimg::crypto)
  target_link_libraries(mkimg::ssh2 INTERFACE mkimg::crypto mkimg::z)
  target_link_libraries(mkimg::idn2 INTERFACE mkimg::unistring)
  target_link_libraries(mkimg::psl INTERFACE mkimg::idn2 mkimg::unistring)
  target_link_libraries(mkimg::brotlidec INTERFACE mkimg::brotlicommon)
  target_link_libraries(mkimg::curl INTERFACE
    mkimg::nghttp2 mkimg::ssh2 mkimg::psl mkimg::idn2 mkimg::ssl mkimg::brotlidec mkimg::zstd mkimg::z)

  # LDAP, RTMP and Kerberos, of which there are no archives. mkimg lets libcurl speak HTTP and HTTPS alone and offers no
  # Kerberos (registry/curl_transport.cpp), so these are never called; each leads to registry/curl_unspoken.cpp.
  execute_process(COMMAND ${CMAKE_NM} --undefined-only ${MKIMG_LIB_curl}
                  OUTPUT_VARIABLE undefined ERROR_QUIET COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL " U (ldap|ber|RTMP|gss|GSS)_[A-Za-z0-9_]+" unspoken "${undefined}")
  list(TRANSFORM unspoken REPLACE " U (.*)" "LINKER:--defsym=\\1=mkimg_unspoken_protocol")
  list(REMOVE_DUPLICATES unspoken)
  target_link_options(mkimg::curl INTERFACE ${unspoken})
endif()
