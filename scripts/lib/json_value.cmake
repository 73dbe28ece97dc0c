# cmake -DFILE=result.json "-DKEYS=total;bpw" -P json_value.cmake: prints one value of a JSON file, on stderr, which
# is where a script's plain messages go. CMake is the JSON reader that every machine with a build of this has.
file(READ "${FILE}" json)
string(JSON value GET "${json}" ${KEYS})
message("${value}")
