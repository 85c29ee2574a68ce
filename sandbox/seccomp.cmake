# Two generated headers. The seccomp profile is compiled to BPF at build time by a small program; only that one needs
# libseccomp.
if(TARGET mkimg_sandbox)
  add_executable(mkimg_seccomp_profile ${CMAKE_CURRENT_SOURCE_DIR}/sandbox/seccomp/generate.cpp)
  target_include_directories(mkimg_seccomp_profile PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(mkimg_seccomp_profile PRIVATE PkgConfig::SECCOMP mkimg_options)
  set(MKIMG_GENERATED ${CMAKE_CURRENT_BINARY_DIR}/generated)
  add_custom_command(
    OUTPUT ${MKIMG_GENERATED}/sandbox/seccomp_profile.h
    COMMAND ${CMAKE_COMMAND} -E make_directory ${MKIMG_GENERATED}/sandbox
    COMMAND mkimg_seccomp_profile ${MKIMG_GENERATED}/sandbox/seccomp_profile.h
    DEPENDS mkimg_seccomp_profile
    VERBATIM)

  # The stub between mkimg and a command: a static program of some 800 bytes without any library,
  # whatever the build's flags are.
  add_executable(mkimg_exec_stub ${CMAKE_CURRENT_SOURCE_DIR}/sandbox/exec_stub/stub.cpp)
  target_compile_options(mkimg_exec_stub PRIVATE -O2 -g0 -ffreestanding -fno-pie -fno-stack-protector
    -fno-asynchronous-unwind-tables -fcf-protection=none -fno-sanitize=all -fno-profile-arcs -fno-test-coverage)
  target_link_options(mkimg_exec_stub PRIVATE -nostdlib -static -no-pie -s -fno-sanitize=all
    LINKER:--build-id=none LINKER:-z,noseparate-code)
  target_link_libraries(mkimg_exec_stub PRIVATE mkimg_options)
  add_custom_command(
    OUTPUT ${MKIMG_GENERATED}/sandbox/exec_stub.h
    COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:mkimg_exec_stub> -DHEADER=${MKIMG_GENERATED}/sandbox/exec_stub.h
            -P ${CMAKE_CURRENT_SOURCE_DIR}/sandbox/exec_stub/embed.cmake
    DEPENDS mkimg_exec_stub ${CMAKE_CURRENT_SOURCE_DIR}/sandbox/exec_stub/embed.cmake
    VERBATIM)
  target_sources(mkimg_sandbox PRIVATE ${MKIMG_GENERATED}/sandbox/seccomp_profile.h ${MKIMG_GENERATED}/sandbox/exec_stub.h)
  target_include_directories(mkimg_sandbox PRIVATE ${MKIMG_GENERATED})
endif()
