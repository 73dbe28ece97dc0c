# AFP_CUDA=AUTO|ON|OFF decides whether the library gets a CUDA backend; AFP_HAS_CUDA is what came out. AUTO takes nvcc
# where there is one that works, of CUDA 12.9 or newer. The program starts without a driver or a GPU either way: the CUDA
# runtime is linked statically.
set(AFP_CUDA_ARCHITECTURES "80-real;90a-real;90-virtual" CACHE STRING
    "What the CUDA backend is compiled for, as CMAKE_CUDA_ARCHITECTURES takes it")
set(AFP_HAS_CUDA OFF)
set(afp_why_no_cuda "")

if(NOT AFP_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "AFP_CUDA=${AFP_CUDA}: expected AUTO, ON or OFF")
elseif(AFP_CUDA STREQUAL "OFF")
  set(afp_why_no_cuda "AFP_CUDA=OFF")
else()
  include(CheckLanguage)
  if(NOT DEFINED CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})  # CMake itself looks in PATH alone
    find_program(AFP_NVCC nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
    mark_as_advanced(AFP_NVCC)
    if(AFP_NVCC)
      set(ENV{CUDACXX} ${AFP_NVCC})
    endif()
  endif()
  check_language(CUDA)
  if(NOT CMAKE_CUDA_COMPILER)
    set(afp_why_no_cuda "no nvcc that works was found")
  else()
    execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --version OUTPUT_VARIABLE afp_nvcc_version ERROR_QUIET)
    if(NOT afp_nvcc_version MATCHES "release ([0-9.]+)")
      set(afp_why_no_cuda "${CMAKE_CUDA_COMPILER} is not nvcc")
    elseif(CMAKE_MATCH_1 VERSION_LESS 12.9)  # whose CUB takes the iterators of primitives.cu
      set(afp_why_no_cuda "${CMAKE_CUDA_COMPILER} is of CUDA ${CMAKE_MATCH_1}, which is older than 12.9")
    else()
      set(AFP_HAS_CUDA ON)
    endif()
  endif()
endif()

if(AFP_HAS_CUDA)
  set(CMAKE_CUDA_ARCHITECTURES ${AFP_CUDA_ARCHITECTURES})
  enable_language(CUDA)
  find_package(CUDAToolkit 12.9 REQUIRED)
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc takes C++20
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  endif()
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  set(CMAKE_CUDA_EXTENSIONS OFF)
  set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
  set(CMAKE_CUDA_VISIBILITY_PRESET hidden)
  set(afp_cuda_state "yes, nvcc ${CMAKE_CUDA_COMPILER_VERSION}, for ${AFP_CUDA_ARCHITECTURES}")
elseif(AFP_CUDA STREQUAL "ON")
  message(FATAL_ERROR "AFP_CUDA=ON: ${afp_why_no_cuda}; expected nvcc of CUDA 12.9 or newer "
                      "(CMAKE_CUDA_COMPILER or CUDACXX says where it is)")
else()
  set(afp_cuda_state "no, ${afp_why_no_cuda}")
endif()
message(STATUS "CUDA backend: ${afp_cuda_state}")
set(AFP_CUDA_STATE "${afp_cuda_state}" CACHE INTERNAL "What became of AFP_CUDA")

# The CUDA backend: what nvcc compiles, and the rest of it. Tests compile both against an emulator, without CUDA.
file(GLOB AFP_KERNELS CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/*.cu)
file(GLOB AFP_CUDA_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/host/cuda/*.cpp)
list(FILTER AFP_CUDA_SOURCES EXCLUDE REGEX "/(choose_backend|cuda_machine|no_cuda)\\.cpp$")
