# Every library the build uses, found as the distribution ships it; nothing is downloaded.
# README.md gives the reason for each.
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(TBB 2021 REQUIRED CONFIG)
find_package(hwy 1.0.3 REQUIRED CONFIG)
find_package(nlohmann_json 3.11 REQUIRED CONFIG)
find_package(Eigen3 3.4 REQUIRED CONFIG NO_CMAKE_PACKAGE_REGISTRY)
find_package(Random123 REQUIRED)
find_package(CLI11 2.1 REQUIRED CONFIG)
find_package(fmt 9 REQUIRED CONFIG)

find_package(PkgConfig REQUIRED)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash>=0.8)
# On x86 most builds of it choose vector code at run time, through functions of their own.
include(CheckCXXSymbolExists)
set(CMAKE_REQUIRED_LIBRARIES PkgConfig::xxhash)
check_cxx_symbol_exists(XXH3_128bits_update_dispatch xxh_x86dispatch.h AFP_XXHASH_DISPATCH)
unset(CMAKE_REQUIRED_LIBRARIES)

if(AFP_BUILD_TESTS)
  find_package(GTest 1.12 REQUIRED CONFIG)
endif()
if(AFP_BUILD_BENCH)
  find_package(benchmark 1.7 REQUIRED CONFIG)
endif()
