// JSON files that tell whether they are still what was written: their last key is a digest of all before it.
//
//     {
//     "key": ...,
//     "digest": "XXH3-128 of everything above this line, 32 hexadecimal digits"
//     }
#pragma once

#include <string>
#include <string_view>

namespace afp {

bool is_digest(std::string_view text);  // 32 lower-case hexadecimal digits

// `text` is an object with its closing brace left out, up to and with the comma and line end of its last
// line.
std::string sealed(std::string text);

// Throws InputError "the WHAT was changed after it was written: ..." unless the text is as sealed() made it.
void require_sealed(std::string_view text, const std::string& what, const std::string& file);

}  // namespace afp
