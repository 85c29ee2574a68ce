# What every target is compiled with.
add_library(mkimg_options INTERFACE)
target_compile_options(mkimg_options INTERFACE
  -Wall -Wextra -Wpedantic -Werror -Wshadow -Wconversion -Wnon-virtual-dtor -Wold-style-cast
  -Wno-missing-field-initializers)
# GCC 12 sees overlaps in std::string's own code where there are none (bug 105329).
target_compile_options(mkimg_options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
# libseccomp's macros are compound literals of C; g++'s -Wconversion leaves signs out.
target_compile_options(mkimg_options INTERFACE
  $<$<CXX_COMPILER_ID:Clang>:-Wno-c99-extensions> $<$<CXX_COMPILER_ID:Clang>:-Wno-sign-conversion>)
target_compile_definitions(mkimg_options INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64)

# mkimg_library(NAME [PUBLIC targets…] [PRIVATE targets…]): one static library for one folder.
function(mkimg_library name)
  cmake_parse_arguments(ARG "" "" "PUBLIC;PRIVATE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp)
  if(NOT sources)
    return()
  endif()
  add_library(mkimg_${name} STATIC ${sources})
  target_include_directories(mkimg_${name} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(mkimg_${name} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE} mkimg_options)
endfunction()
