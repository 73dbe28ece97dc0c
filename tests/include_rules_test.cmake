# Proves that include_rules.cmake finds what it is there to find: cmake -DWORK=<folder> -P include_rules_test.cmake
# plants one violation at a time in a small tree of its own.
cmake_minimum_required(VERSION 3.25)

set(sound_tree
    "include/afp/hd.hpp: <cstdint>"
    "include/afp/format.hpp: afp/hd.hpp"
    "include/afp/codec.hpp: afp/format.hpp"
    "include/afp/encoding.hpp: afp/format.hpp"
    "include/afp/tensor.hpp: <vector>"
    "include/afp/backend.hpp: afp/encoding.hpp afp/tensor.hpp"
    "include/afp/progress.hpp: <string>"
    "include/afp/quantize.hpp: afp/backend.hpp afp/progress.hpp"
    "include/afp/cuda.hpp: afp/backend.hpp <cuda_runtime.h>"
    "host/core/quantize.cpp: afp/quantize.hpp host/checkpoint/file.hpp <tbb/task_arena.h>"
    "host/core/block.hpp: afp/codec.hpp"
    "host/cpu/cpu.cpp: afp/backend.hpp host/core/block.hpp <hwy/highway.h>"
    "host/cuda/cuda.cpp: afp/cuda.hpp kernels/encode.hpp <cuda_runtime.h>"
    "host/checkpoint/file.hpp: afp/tensor.hpp"
    "host/cli/text.hpp: <string>"
    "host/cli/main.cpp: text.hpp made_by_cmake.hpp afp/quantize.hpp <fmt/format.h> <CLI/CLI.hpp>"
    "kernels/encode.hpp: afp/codec.hpp"
    "kernels/encode.cu: kernels/encode.hpp <cuda_runtime.h>"
    "kernels/primitives.cu: <cub/device/device_scan.cuh> <thrust/sort.h>"
    "examples/digits/eval.cpp: <afp/quantize.hpp> <CLI/CLI.hpp>")

# "FILE: INCLUDES" to add, with what the message must hold.
set(violations
    "include/afp/format.hpp: afp/codec.hpp"              "include/afp/format.hpp -> include/afp/codec.hpp"
    "include/afp/hd.hpp: afp/codec.hpp"                  "a circle"
    "include/afp/tensor.hpp: host/checkpoint/file.hpp"   "public headers stand alone"
    "include/afp/tensor.hpp: kernels/encode.hpp"         "public headers stand alone"
    "include/afp/tensor.hpp: <nlohmann/json.hpp>"        "include/afp/tensor.hpp -> <nlohmann/json.hpp>"
    "include/afp/tensor.hpp: <cuda_runtime.h>"           "include/afp/tensor.hpp -> <cuda_runtime.h>"
    "include/afp/progress.hpp: afp/backend.hpp"          "include/afp/progress.hpp -> include/afp/backend.hpp"
    "include/afp/quantize.hpp: afp/cuda.hpp"             "it needs CUDA to compile"
    "include/afp/tensor.hpp: afp/quantize.hpp"           "include/afp/tensor.hpp -> include/afp/quantize.hpp"
    "host/checkpoint/file.hpp: afp/backend.hpp"          "files know nothing of devices"
    "host/checkpoint/file.hpp: host/core/block.hpp"      "files know nothing of what is done with them"
    "host/checkpoint/file.hpp: ../cpu/cpu.cpp"           "host/checkpoint/file.hpp -> host/cpu/cpu.cpp"
    "host/checkpoint/file.hpp: <fmt/format.h>"           "prints nothing"
    "host/core/block.hpp: host/cpu/cpu.cpp"              "devices are reached through"
    "host/core/block.hpp: <hwy/highway.h>"               "vector code belongs"
    "host/core/block.hpp: kernels/encode.hpp"            "host/cuda alone"
    "host/core/block.hpp: <cuda_runtime.h>"              "CUDA stays in"
    "host/core/block.hpp: host/checkpoint/file.hpp"      "host/core/block.hpp -> host/checkpoint/file.hpp: backends work on memory"
    "host/core/block.hpp: host/cuda/cuda.cpp"            "devices are reached through"
    "host/cpu/cpu.cpp: host/cuda/cuda.cpp"               "backends do not know each other"
    "host/cuda/cuda.cpp: host/cpu/cpu.cpp"               "backends do not know each other"
    "host/cuda/cuda.cpp: host/checkpoint/file.hpp"       "backends work on memory"
    "host/cuda/cuda.cpp: <cub/block/block_scan.cuh>"     "no emulator runs them"
    "host/cuda/cuda.cpp: <hwy/highway.h>"                "vector code belongs"
    "host/cuda/cuda.cpp: <fmt/format.h>"                 "prints nothing"
    "host/cuda/cuda.cpp: <Eigen/Dense>"                  "the solvers' own"
    "host/search/exact.cpp: host/checkpoint/file.hpp"    "the search knows a table"
    "host/cli/text.hpp: host/core/block.hpp"             "the program uses public headers"
    "examples/digits/eval.cpp: host/core/block.hpp"      "examples use public headers"
    "host/cli/text.hpp: host/cuda/cuda.cpp"              "the program uses public headers"
    "kernels/encode.hpp: host/core/block.hpp"            "kernels are called"
    "kernels/encode.hpp: afp/cuda.hpp"                   "kernels are called"
    "kernels/encode.cu: <thrust/sort.h>"                 "no emulator runs them"
    "kernels/encode.cu: afp/quantize.hpp"                "include/afp/quantize.hpp -> include/afp/backend.hpp: kernels are called")

function(add_includes line)
  string(REGEX MATCH "^([^:]+): (.+)$" matched "${line}")
  set(file "${WORK}/${CMAKE_MATCH_1}")
  string(REPLACE " " ";" names "${CMAKE_MATCH_2}")
  foreach(name IN LISTS names)
    if(NOT name MATCHES "^<")
      set(name "\"${name}\"")
    endif()
    file(APPEND "${file}" "#include ${name}\n")
  endforeach()
endfunction()

function(check result output)
  execute_process(COMMAND ${CMAKE_COMMAND} -DROOT=${WORK} -P ${CMAKE_CURRENT_LIST_DIR}/include_rules.cmake
                  RESULT_VARIABLE status OUTPUT_VARIABLE text ERROR_VARIABLE text)
  string(REGEX REPLACE "[ \n]+" " " text "${text}")  # messages are wrapped
  set(${result} ${status} PARENT_SCOPE)
  set(${output} "${text}" PARENT_SCOPE)
endfunction()

function(plant_sound_tree)
  file(REMOVE_RECURSE "${WORK}")
  foreach(line IN LISTS sound_tree)
    add_includes("${line}")
  endforeach()
endfunction()

plant_sound_tree()
check(status text)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "the sound tree was refused: ${text}")
endif()

while(violations)
  list(POP_FRONT violations violation expected)
  plant_sound_tree()
  add_includes("${violation}")
  check(status text)
  string(FIND "${text}" "${expected}" position)
  if(status EQUAL 0 OR position EQUAL -1)
    message(FATAL_ERROR "planted '${violation}', expected a failure that says '${expected}', found: ${text}")
  endif()
endwhile()

file(REMOVE_RECURSE "${WORK}")
check(status text)
if(status EQUAL 0)
  message(FATAL_ERROR "a tree without files was found to be in order")
endif()
