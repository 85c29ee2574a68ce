# The libraries that mkimg uses, each as one target. They are linked statically where Debian ships
# an archive: loading 20 shared libraries would cost more than a build that has nothing to do.
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)

# mkimg_dependency(NAME HEADER): target mkimg::NAME for libNAME.a, or libNAME.so where there is none.
function(mkimg_dependency name header)
  find_library(MKIMG_LIB_${name} NAMES lib${name}.a ${name} REQUIRED)
  find_path(MKIMG_INCLUDE_${name} ${header} REQUIRED)
  mark_as_advanced(MKIMG_LIB_${name} MKIMG_INCLUDE_${name})
  add_library(mkimg::${name} UNKNOWN IMPORTED)
  set_target_properties(mkimg::${name} PROPERTIES IMPORTED_LOCATION ${MKIMG_LIB_${name}})
endfunction()

mkimg_dependency(crypto openssl/evp.h)
mkimg_dependency(sqlite3 sqlite3.h)
mkimg_dependency(z zlib.h)
mkimg_dependency(bz2 bzlib.h)
mkimg_dependency(lzma lzma.h)
mkimg_dependency(zstd zstd.h)
mkimg_dependency(deflate libdeflate.h)
mkimg_dependency(archive archive.h)
target_link_libraries(mkimg::crypto INTERFACE ${CMAKE_DL_LIBS} Threads::Threads)
target_link_libraries(mkimg::sqlite3 INTERFACE m ${CMAKE_DL_LIBS} Threads::Threads)
# What libarchive's tar reader pulls in; its other formats, and their libraries, stay out.
target_link_libraries(mkimg::archive INTERFACE mkimg::lzma mkimg::bz2 mkimg::zstd mkimg::z mkimg::crypto)

include(cmake/Curl.cmake)
