# Warnings for this project's own targets: errors in CI, never for users.
add_library(afp_warnings INTERFACE)
target_compile_options(afp_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor
  # g++ 12 sees overlaps in std::string's operator+ that are not there.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  $<$<BOOL:${AFP_WARNINGS_AS_ERRORS}>:-Werror>)
