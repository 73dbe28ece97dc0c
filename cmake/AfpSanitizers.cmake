# AFP_SANITIZE=address,undefined (or thread) instruments every target of the build.
set(AFP_SANITIZE "" CACHE STRING "Sanitizers to build with, as -fsanitize= takes them")
if(AFP_SANITIZE)
  add_compile_options(-fsanitize=${AFP_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all -g)
  add_link_options(-fsanitize=${AFP_SANITIZE})
endif()
