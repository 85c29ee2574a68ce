# The seccomp profile is compiled to BPF at build time by a small program; only that one needs libseccomp.
if(TARGET mkimg_sandbox)
  add_executable(mkimg_seccomp_profile ${CMAKE_CURRENT_SOURCE_DIR}/sandbox/seccomp/generate.cpp)
  target_include_directories(mkimg_seccomp_profile PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(mkimg_seccomp_profile PRIVATE PkgConfig::SECCOMP mkimg_options)
  set(MKIMG_GENERATED ${CMAKE_CURRENT_BINARY_DIR}/generated)
  add_custom_command(
    OUTPUT ${MKIMG_GENERATED}/seccomp_profile.h
    COMMAND ${CMAKE_COMMAND} -E make_directory ${MKIMG_GENERATED}
    COMMAND mkimg_seccomp_profile ${MKIMG_GENERATED}/seccomp_profile.h
    DEPENDS mkimg_seccomp_profile
    VERBATIM)
  target_sources(mkimg_sandbox PRIVATE ${MKIMG_GENERATED}/seccomp_profile.h)
  target_include_directories(mkimg_sandbox PRIVATE ${MKIMG_GENERATED})
endif()
