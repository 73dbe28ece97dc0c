# Every library the build uses, found as the distribution ships it; nothing is downloaded.
# README.md gives the reason for each.
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(TBB 2021 REQUIRED CONFIG)
find_package(hwy 1.0.3 REQUIRED CONFIG)
find_package(nlohmann_json 3.11 REQUIRED CONFIG)
find_package(CLI11 2.1 REQUIRED CONFIG)
find_package(fmt 9 REQUIRED CONFIG)

find_package(PkgConfig REQUIRED)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash>=0.8)

if(AFP_BUILD_TESTS)
  find_package(GTest 1.12 REQUIRED CONFIG)
endif()
if(AFP_BUILD_BENCH)
  find_package(benchmark 1.7 REQUIRED CONFIG)
endif()
