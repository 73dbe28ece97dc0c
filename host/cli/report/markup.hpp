// Text inside HTML and SVG: escaping, and numbers as a reader wants to see them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace afp::cli {

// Text for elements and quoted attributes of HTML and XML: markup characters as entities; control characters,
// bytes that are no UTF-8 and code points that XML forbids or that turn the direction of writing as \xNN.
std::string escaped(std::string_view text);

// Without trailing zeros, at most `decimals`: "0.5", "12". For coordinates; non-finite numbers become 0.
std::string coordinate(double value, int decimals = 1);

std::string fixed(double value, int decimals);        // "4.25"; U+2212 for minus, U+221E for infinity
std::string significant(double value, int digits);    // "0.00123", "1.23e-07"
std::string percent(double fraction);                 // "12.3 %", "0.04 %", "1.2e-05 %"
std::string size_words(std::uint64_t bytes);          // "3.52 GB", with a space that does not break
std::string sqnr_words(double signal, double error);  // "21.30 dB", "exact"
double sqnr_db_of(double signal, double error);       // infinite where the error is 0

}  // namespace afp::cli
