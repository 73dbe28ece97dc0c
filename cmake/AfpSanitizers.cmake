# AFP_SANITIZE=address,undefined (or thread) instruments every target of the build, but for what nvcc compiles.
set(AFP_SANITIZE "" CACHE STRING "Sanitizers to build with, as -fsanitize= takes them")
if(AFP_SANITIZE)
  add_compile_options(
    "$<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${AFP_SANITIZE};-fno-omit-frame-pointer;-fno-sanitize-recover=all;-g>")
  add_link_options(-fsanitize=${AFP_SANITIZE})
  if(AFP_SANITIZE MATCHES undefined)
    # It opens pipes to look at memory, which fails in tests that leave no file descriptor free.
    add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fno-sanitize=vptr>)
  endif()
endif()
