// A strict reader of well-formed XML, enough for the pages that this project writes: no CDATA, no processing
// instructions, no namespaces, and of entities only those that every reader of XML and HTML knows.
#pragma once

#include <algorithm>
#include <cctype>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace afp {

struct Element {
  std::string name, own_text;  // without that of the elements in it
  std::map<std::string, std::string> attributes;
  std::vector<std::unique_ptr<Element>> children;

  std::string attribute(const std::string& key) const {
    const auto found = attributes.find(key);
    return found == attributes.end() ? "" : found->second;
  }
  double number(const std::string& key) const { return std::stod(attribute(key)); }
  bool has_class(std::string_view wanted) const {
    return (" " + attribute("class") + " ").find(" " + std::string(wanted) + " ") != std::string::npos;
  }
  // This element and all below it, in order, that `test` holds for.
  template <class Test>
  void collect(const Test& test, std::vector<const Element*>& out) const {
    if (test(*this)) out.push_back(this);
    for (const auto& child : children) child->collect(test, out);
  }
  std::vector<const Element*> all(const std::string& wanted) const {
    std::vector<const Element*> out;
    collect([&](const Element& element) { return element.name == wanted; }, out);
    return out;
  }
  std::vector<const Element*> with_class(std::string_view wanted) const {
    std::vector<const Element*> out;
    collect([&](const Element& element) { return element.has_class(wanted); }, out);
    return out;
  }
  const Element* by_id(const std::string& id) const {
    std::vector<const Element*> out;
    collect([&](const Element& element) { return element.attribute("id") == id; }, out);
    return out.empty() ? nullptr : out[0];
  }
  // With that of the elements in it, wherever it stands.
  std::string text() const {
    std::string out = own_text;
    for (const auto& child : children) out += child->text();
    return out;
  }
};

class PageReader {
 public:
  explicit PageReader(std::string_view page) : rest_(page) {}

  // Throws std::runtime_error that says what is wrong and quotes what follows.
  std::unique_ptr<Element> read() {
    skip_space();
    take("<!DOCTYPE html>");
    skip_space();
    auto root = element();
    skip_space();
    if (!rest_.empty()) fail("text after the root");
    return root;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw std::runtime_error(what + " before: " + std::string(rest_.substr(0, 80)));
  }
  void take(std::string_view text) {
    if (!rest_.starts_with(text)) fail("expected '" + std::string(text) + "'");
    rest_.remove_prefix(text.size());
  }
  bool skip_space() {
    const std::size_t end = std::min(rest_.find_first_not_of(" \n"), rest_.size());
    rest_.remove_prefix(end);
    return end > 0;
  }
  std::string name() {
    std::size_t end = 0;
    while (end < rest_.size() && (std::isalnum(static_cast<unsigned char>(rest_[end])) || rest_[end] == '-'))
      ++end;
    if (end == 0) fail("expected a name");
    std::string out(rest_.substr(0, end));
    rest_.remove_prefix(end);
    return out;
  }
  // Up to `stop`, with entities read.
  std::string characters(char stop) {
    std::string out;
    while (!rest_.empty() && rest_[0] != stop) {
      const auto byte = static_cast<unsigned char>(rest_[0]);
      if (rest_[0] == '<') fail("a bare '<'");
      if (byte < 0x20 && byte != '\n') fail("a control character");
      if (byte == 0x7F) fail("a control character");
      if (rest_[0] != '&') {
        out += rest_[0];
        rest_.remove_prefix(1);
        continue;
      }
      const std::size_t end = rest_.find(';');
      const std::map<std::string_view, char> known = {
          {"&lt", '<'}, {"&gt", '>'}, {"&amp", '&'}, {"&quot", '"'}, {"&#39", '\''}};
      const auto entity = known.find(rest_.substr(0, end));
      if (end == std::string_view::npos || entity == known.end()) fail("an unknown entity");
      out += entity->second;
      rest_.remove_prefix(end + 1);
    }
    if (rest_.empty()) fail("the page ends early");
    return out;
  }
  std::unique_ptr<Element> element() {
    take("<");
    auto out = std::make_unique<Element>();
    out->name = name();
    while (skip_space() && (rest_.empty() || (rest_[0] != '>' && rest_[0] != '/'))) {
      std::string key = name();
      take("=\"");
      if (!out->attributes.emplace(std::move(key), characters('"')).second) fail("an attribute stands twice");
      take("\"");
    }
    if (rest_.starts_with("/>")) {
      take("/>");
      return out;
    }
    take(">");
    while (true) {
      out->own_text += characters('<');
      if (rest_.starts_with("</")) break;
      out->children.push_back(element());
    }
    take("</");
    if (name() != out->name) fail("an end tag of another element than " + out->name);
    take(">");
    return out;
  }

  std::string_view rest_;
};

inline std::unique_ptr<Element> read_page(std::string_view page) {
  return PageReader(page).read();
}

}  // namespace afp
