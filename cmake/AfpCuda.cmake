# AFP_CUDA=AUTO|ON|OFF. No part of this version is written in CUDA: AUTO builds the CPU backend.
if(AFP_CUDA STREQUAL "ON")
  message(FATAL_ERROR "AFP_CUDA=ON: this version has no CUDA backend; use AUTO or OFF")
elseif(NOT AFP_CUDA MATCHES "^(AUTO|OFF)$")
  message(FATAL_ERROR "AFP_CUDA=${AFP_CUDA}: expected AUTO, ON or OFF")
endif()
