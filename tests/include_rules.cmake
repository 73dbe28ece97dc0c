# Who may include whom: cmake -DROOT=<source tree> -P include_rules.cmake. Fails with a line for every rule broken.
#
# A file "includes" what its own #include lines name and "reaches" what these lead to. Names of this project's files
# are taken from the root of the tree.
cmake_minimum_required(VERSION 3.25)

# includes FROM TO REASON: no file that matches FROM may have an #include that matches TO.
# reaches FROM TO REASON: nor may one of the files that it includes, however far down.
# A pattern at the end names files that the rule spares.
set(rule_count 0)
function(forbid kind from to reason)
  foreach(part IN ITEMS kind from to reason)
    set(${part}_${rule_count} "${${part}}" PARENT_SCOPE)
  endforeach()
  set(spared_${rule_count} "${ARGN}" PARENT_SCOPE)
  math(EXPR rule_count "${rule_count} + 1")
  set(rule_count ${rule_count} PARENT_SCOPE)
endfunction()

set(public "^include/afp/")

# The public headers: the standard library and each other.
forbid(reaches "${public}" "^(host|kernels)/" "public headers stand alone")
forbid(includes "${public}" "^<[a-zA-Z0-9_]*[/.]" "public headers but cuda.hpp need the standard library alone")
foreach(pair IN ITEMS
    "(hd|size)        (format|tensor)"
    "format           (codec|packing|encoding)"
    "codec            (packing|scale|encoding|statistics|objective)"
    "packing          (codec|block_grid)"
    "encoding         (packed_tensor|plan|backend)"
    "tensor           (encoding|statistics|packed_tensor|plan|backend)"
    "statistics       (objective|backend)"
    "objective        (plan|search|cost_table|backend)"
    "(key_table|cumulative_counts|level_shares|linear_histogram|divergence|lane_sum|log2) (objective|backend)"
    "tensor_scale_scan (plan|search|cost_table|backend)"
    "tensor_costs     (plan|search|cost_table|model_search|seed_search|checkpoint|quantize)"
    "seed_search      (plan|search|cost_table|model_search|quantize)"
    "candidates       (plan|search|cost_table|backend)"
    "cost_table       (plan|search|model_search|backend|checkpoint)"
    "plan             (search|model_search|quantize|backend)"
    "philox           (annealing|search|backend)"
    "annealing        (chain_runner|search|backend)"
    "chain_runner     (search|cost_table|model_search|backend)"
    "search           (chain_runner|cost_table|model_search|backend|checkpoint|packed_checkpoint|quantize)"
    "model_search     quantize"
    "checkpoint       (backend|plan|quantize)"
    "packed_checkpoint (backend|quantize)"
    "backend          (checkpoint|packed_checkpoint|quantize|sgd|scheduler)"
    "(backend_choice|progress) backend"
    "(quantize|sgd)   scheduler")
  string(REGEX MATCH "^([^ ]+) +([^ ]+)$" matched "${pair}")
  forbid(reaches "${public}${CMAKE_MATCH_1}\\.hpp$" "${public}${CMAKE_MATCH_2}\\.hpp$" "the flow has one direction")
endforeach()

# The bodies.
forbid(reaches "^host/checkpoint/" "${public}(backend|quantize)\\.hpp$" "files know nothing of devices")
forbid(reaches "^host/checkpoint/" "^host/(core|cpu|cuda|search|cli)/" "files know nothing of what is done with them")
forbid(reaches "^host/(core|search)/" "^host/(cpu|cuda|cli)/" "devices are reached through afp/backend.hpp")
forbid(reaches "^host/(cpu|cuda)/" "^host/(checkpoint|search|cli)/" "backends work on memory, not on files")
forbid(reaches "^host/cpu/" "^host/cuda/" "backends do not know each other")
forbid(reaches "^host/cuda/" "^host/cpu/" "backends do not know each other")
forbid(reaches "^host/search/" "(${public}backend\\.hpp$|^host/(core|checkpoint)/)" "the search knows a table of costs")
forbid(includes "^host/cli/" "^(host/(core|cpu|cuda|search|checkpoint)|kernels)/" "the program uses public headers")
forbid(includes "^examples/" "^(host|kernels)/" "examples use public headers")

# Devices.
forbid(reaches "^kernels/" "(^host/|${public}(backend|cuda)\\.hpp$)" "kernels are called, they call nobody")
forbid(includes "^(kernels|include|host)/" "^<(cub|thrust)/" "CUB and Thrust take long to compile, and no emulator runs them"
       "^kernels/primitives\\.cu$")
forbid(includes "^(include|host/(core|cpu|search|checkpoint|cli))/" "${public}cuda\\.hpp$" "it needs CUDA to compile")
forbid(includes "^(include|examples|host/(core|cpu|search|checkpoint|cli))/" "^kernels/" "host/cuda alone launches kernels")
forbid(includes "^(examples|host/(core|cpu|search|checkpoint|cli))/" "^<(cu[a-z]+(_[a-z0-9_]+)?\\.h|cub/|cuda/|thrust/)"
       "CUDA stays in host/cuda, kernels and cuda.hpp")

# Third-party libraries, each where README.md says it is used.
forbid(includes "^(host/(core|cpu|cuda|search|checkpoint)|kernels)/" "^<(fmt|CLI)/" "the library takes no arguments and prints nothing")
forbid(includes "^(host/(core|cpu|cuda|checkpoint|cli)|kernels)/" "^<(Eigen|Random123)/" "the solvers' own")
forbid(includes "^(host/(core|cuda|search|checkpoint|cli)|kernels)/" "^<hwy/" "vector code belongs to host/cpu")

# --- The include graph ---------------------------------------------------------------------------------------------

file(GLOB_RECURSE files RELATIVE "${ROOT}" "${ROOT}/include/*" "${ROOT}/host/*" "${ROOT}/kernels/*" "${ROOT}/examples/*")
list(FILTER files INCLUDE REGEX "\\.(hpp|cpp|h|cu|cuh)$")
list(LENGTH files file_count)
if(file_count EQUAL 0)
  message(FATAL_ERROR "no source files under '${ROOT}'")
endif()

set(problems "")
foreach(file IN LISTS files)
  set(includes_of_${file} "")
  file(STRINGS "${ROOT}/${file}" lines REGEX "^[ \t]*#[ \t]*include[ \t]*[<\"]")
  cmake_path(GET file PARENT_PATH folder)
  foreach(line IN LISTS lines)
    string(REGEX MATCH "([<\"])([^>\"]+)" matched "${line}")
    set(bracket "${CMAKE_MATCH_1}")
    set(name "${CMAKE_MATCH_2}")
    set(found "")
    foreach(candidate IN ITEMS "${folder}/${name}" "include/${name}" "${name}")
      cmake_path(NORMAL_PATH candidate)
      if(candidate IN_LIST files)
        set(found "${candidate}")
        break()
      endif()
    endforeach()
    if(found)
      list(APPEND includes_of_${file} "${found}")
    elseif(bracket STREQUAL "<" AND NOT file STREQUAL "include/afp/cuda.hpp")  # which alone may name CUDA
      list(APPEND includes_of_${file} "<${name}>")
    endif()
  endforeach()
endforeach()

# chain: the names from `file` to the first `to` it reaches, empty when there is none. Breadth first: the shortest.
function(find_chain file to chain)
  set(queue "${file}")
  set(seen "${file}")
  set(via_${file} "${file}")
  while(queue)
    list(POP_FRONT queue next)
    foreach(included IN LISTS includes_of_${next})
      if(included MATCHES "${to}")
        set(${chain} "${via_${next}} -> ${included}" PARENT_SCOPE)
        return()
      endif()
      if(NOT included IN_LIST seen)
        list(APPEND seen "${included}")
        list(APPEND queue "${included}")
        set(via_${included} "${via_${next}} -> ${included}")
      endif()
    endforeach()
  endwhile()
  set(${chain} "" PARENT_SCOPE)
endfunction()

math(EXPR last_rule "${rule_count} - 1")
foreach(rule RANGE ${last_rule})
  foreach(file IN LISTS files)
    if(NOT file MATCHES "${from_${rule}}" OR (spared_${rule} AND file MATCHES "${spared_${rule}}"))
      continue()
    endif()
    if(kind_${rule} STREQUAL "reaches")
      find_chain("${file}" "${to_${rule}}" chain)
      if(chain)
        list(APPEND problems "${chain}: ${reason_${rule}}")
      endif()
    else()
      foreach(included IN LISTS includes_of_${file})
        if(included MATCHES "${to_${rule}}")
          list(APPEND problems "${file} -> ${included}: ${reason_${rule}}")
        endif()
      endforeach()
    endif()
  endforeach()
endforeach()

foreach(file IN LISTS files)
  string(REGEX REPLACE "([.+])" "\\\\\\1" pattern "^${file}$")
  find_chain("${file}" "${pattern}" chain)
  if(chain)
    list(APPEND problems "${chain}: a circle")
  endif()
endforeach()

if(problems)
  list(REMOVE_DUPLICATES problems)
  list(JOIN problems "\n  " text)
  message(FATAL_ERROR "include rules broken:\n  ${text}")
endif()
message("${file_count} files keep the include rules")
