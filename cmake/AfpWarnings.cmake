# Warnings for this project's own targets: errors in CI, never for users.
add_library(afp_warnings INTERFACE)
target_compile_options(afp_warnings INTERFACE
  "$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic;-Wshadow;-Wconversion;-Wno-sign-conversion;-Wnon-virtual-dtor>"
  # g++ 12 sees overlaps in std::string's operator+ that are not there.
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:GNU>>:-Wno-restrict>
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${AFP_WARNINGS_AS_ERRORS}>>:-Werror>
  # What nvcc makes of a kernel is compiled by the host compiler too, and is neither pedantic nor free of conversions.
  $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra,-Wshadow,-Wnon-virtual-dtor>
  "$<$<AND:$<COMPILE_LANGUAGE:CUDA>,$<BOOL:${AFP_WARNINGS_AS_ERRORS}>>:-Werror;all-warnings;-Xcompiler=-Werror>")
