// verify_checkpoint finds every kind of damage, and nothing in a sound checkpoint.
#include <gtest/gtest.h>

#include "afp/error.hpp"
#include "afp/quantize.hpp"
#include "packed_folder.hpp"

namespace afp {
namespace {

namespace fs = std::filesystem;

std::string text_of(const std::vector<VerifyProblem>& problems) {
  std::string text;
  for (const VerifyProblem& problem : problems) text += problem.name + ": " + problem.what + "\n";
  return text;
}

class Verify : public testing::Test {
 protected:
  Verify() : changed_(example()) { changed_.write_source(source()); }

  fs::path packed() const { return folder_ / "packed"; }
  fs::path source() const { return folder_ / "source"; }

  VerifyResult verify(bool with_source = true, const RunOptions& run = {}) const {
    const Checkpoint plain = Checkpoint::open(source());
    return verify_checkpoint(PackedCheckpoint::open(packed()), with_source ? &plain : nullptr, run);
  }
  // `changed_` with the manifest of the example: damage that came later.
  std::string problems_of_damage(bool with_source = false) const {
    changed_.write_packed(packed(), example().manifest());
    return text_of(verify(with_source).problems);
  }
  // `changed_` with a manifest of its own: a writer that went wrong.
  std::string problems_of_writer(bool with_source = false) const {
    changed_.write_packed(packed());
    return text_of(verify(with_source).problems);
  }
  PackedTensor& tensor(std::string_view name) { return *changed_.tensor(name).packed; }

  TempFolder folder_;
  ExampleCheckpoint changed_;
};

TEST_F(Verify, FindsNothingInASoundCheckpoint) {
  example().write_packed(packed());
  for (const auto& [threads, budget] : {std::pair(40, 64 << 20), std::pair(1, 1 << 30)}) {
    RunOptions run;
    run.threads = threads;
    run.memory_budget = static_cast<std::uint64_t>(budget);
    Progress last;
    run.progress = [&](const Progress& progress) { last = progress; };
    const VerifyResult result = verify(true, run);
    EXPECT_GT(last.bytes_total, 0u);
    EXPECT_EQ(last.bytes_done, last.bytes_total);
    EXPECT_EQ(text_of(result.problems), "");
    EXPECT_EQ(result.tensors, example().tensors.size());
    ASSERT_EQ(result.errors.size(), 5u);
    double error = 0.0, signal = 0.0;
    std::size_t i = 0;
    for (const ExampleTensor& tensor : example().tensors) {
      if (!tensor.packed) continue;
      EXPECT_EQ(result.errors[i].source.name, tensor.info.name);
      EXPECT_NEAR(result.errors[i].squared_error, tensor.packed->squared_error,
                  1e-9 * tensor.packed->squared_error);
      EXPECT_NEAR(result.errors[i].signal, tensor.packed->signal, 1e-9 * tensor.packed->signal);
      EXPECT_EQ(result.errors[i].packed_bytes, packed_size(tensor.packed->encoding, tensor.info.shape));
      error += tensor.packed->squared_error;
      signal += tensor.packed->signal;
      ++i;
    }
    ASSERT_TRUE(result.sqnr_db);
    EXPECT_NEAR(*result.sqnr_db, 10.0 * std::log10(signal / error), 1e-6);
  }
  const VerifyResult result = verify(false);
  EXPECT_EQ(text_of(result.problems), "");
  EXPECT_FALSE(result.sqnr_db);
  EXPECT_TRUE(result.errors.empty());
}

TEST_F(Verify, AFlippedBitAnywhereIsFound) {
  const auto found = [&](const std::string& begin) {
    const std::string problems = problems_of_damage();
    EXPECT_TRUE(problems.starts_with(begin + ": digest is ")) << problems;
    changed_ = example();
  };
  for (const char* name : {"a", "b", "c", "d", "t"}) {
    for (const bool at_end : {false, true}) {
      auto& codes = tensor(name).codes;
      codes[at_end ? codes.size() - 1 : codes.size() / 2] ^= 1;
      found(std::string(name) + ": codes");
      auto& scales = tensor(name).scales;
      scales[at_end ? scales.size() - 1 : 0] ^= 1;
      found(std::string(name) + ": scales");
    }
  }
  changed_.tensor("n").bytes[13] ^= std::byte{0x80};
  found("n: data");
  changed_.tensor("k").bytes[0] ^= std::byte{1};
  found("k: data");
  for (const char* name : {"a", "t"}) {
    tensor(name).tensor_scale *= 2.0f;
    found(std::string(name) + ": scales");
  }
}

TEST_F(Verify, ScaleBytesThatAreNoneAreFound) {
  tensor("d").scales[1] = 255;
  EXPECT_EQ(problems_of_writer(), "d: scale byte 255 of block 1 is no scale\n");
  changed_ = example();
  tensor("a").scales[9] = 0x7F;
  EXPECT_EQ(problems_of_writer(), "a: scale byte 127 of block 9 is no scale\n");
  tensor("a").scales[9] = 0xFF;
  EXPECT_EQ(problems_of_writer(), "a: scale byte 255 of block 9 is no scale\n");
  changed_ = example();
  tensor("t").scales[0] |= 0x80;  // one Format only
  EXPECT_EQ(problems_of_writer(),
            "t: scale byte " + std::to_string(tensor("t").scales[0]) + " of block 0 is no scale\n");
}

TEST_F(Verify, ScaleZeroIsForBlocksOfZeros) {
  ASSERT_EQ(tensor("a").scales[0], 0);
  tensor("a").codes[0] = 0x80;  // -0
  EXPECT_EQ(problems_of_writer(), "");
  tensor("a").codes[0] = 0x10;
  EXPECT_EQ(problems_of_writer(), "a: block 0 has the scale 0, but codes other than zero\n");
  changed_ = example();
  tensor("t").scales[0] = 0;
  EXPECT_EQ(problems_of_writer(), "t: block 0 has the scale 0, but codes other than zero\n");
}

TEST_F(Verify, PaddingMustBeZero) {
  const BlockGrid a = tensor("a").grid();
  tensor("a").codes[3 * a.row_bytes + a.row_bytes - 1] |= 0x80;  // 4 of the last 16 codes are used
  EXPECT_EQ(problems_of_writer(), "a: codes behind the end of row 3 are not zero\n");
  changed_ = example();
  tensor("a").codes[a.row_bytes - 6] |= 0x01;  // the first code behind
  EXPECT_EQ(problems_of_writer(), "a: codes behind the end of row 0 are not zero\n");
  changed_ = example();
  const BlockGrid c = tensor("c").grid();
  tensor("c").codes[39 * c.row_bytes + (35 * 6 + 7) / 8 - 1] |=
      0x80;  // the bits that share a byte with code 34
  EXPECT_EQ(problems_of_writer(), "c: codes behind the end of row 39 are not zero\n");
  changed_ = example();
  const BlockGrid b = tensor("b").grid();
  ASSERT_EQ(b.row_bytes, 35008u);  // 70,000 codes and 16 more
  tensor("b").codes[35000] = 1;
  tensor("b").codes[2 * 35008 + 35007] = 1;
  EXPECT_EQ(problems_of_writer(), "b: codes behind the end of row 0 are not zero\n");
}

TEST_F(Verify, TheTensorScaleMustBePositiveAndFinite) {
  for (const auto& [scale, text] : {std::pair(0.0f, "0.000000"), std::pair(-2.0f, "-2.000000"),
                                    std::pair(std::numeric_limits<float>::infinity(), "inf")}) {
    tensor("a").tensor_scale = scale;
    EXPECT_EQ(problems_of_writer(true),
              std::string("a: the tensor's scale is ") + text + ", expected a positive finite number\n");
  }
}

TEST_F(Verify, AWrongErrorInTheManifestIsFound) {
  tensor("b").squared_error *= 1.00002;
  tensor("t").signal *= 0.99998;
  tensor("c").squared_error *= 1.000005;  // within the tolerance
  const std::string problems = problems_of_writer(true);
  EXPECT_TRUE(problems.starts_with("b: squared error is ")) << problems;
  EXPECT_NE(problems.find("\nt: signal is "), std::string::npos) << problems;
  EXPECT_EQ(std::count(problems.begin(), problems.end(), '\n'), 2) << problems;
  EXPECT_EQ(problems_of_writer(false), "") << "nothing to hold it against";
}

TEST_F(Verify, AnotherSourceIsFound) {
  example().write_packed(packed());
  ExampleCheckpoint other = example();
  other.tensor("c").bytes[100] ^= std::byte{1};
  other.tensor("n").bytes[0] ^= std::byte{1};
  other.tensor("d").info.shape = {33, 2};
  other.tensor("a").info.name = "renamed";
  other.write_source(source());
  std::string problems = text_of(verify().problems);
  EXPECT_TRUE(problems.starts_with(
      "a: is not in the source\nd: is F64 [33, 2] in the source, but was F64 [2, 33] when it was packed\n"
      "renamed: is in the source only\nc: source: digest is "))
      << problems;
  EXPECT_NE(problems.find("\nn: source: digest is "), std::string::npos) << problems;
}

TEST_F(Verify, ReportsAHundredProblemsAtMost) {
  for (int i = 0; i < 120; ++i) {
    ExampleTensor tensor = changed_.tensor("n");
    tensor.info.name = "n" + std::to_string(i);
    changed_.tensors.push_back(tensor);
  }
  const Manifest manifest = changed_.manifest();
  for (ExampleTensor& tensor : changed_.tensors)
    if (tensor.info.name.size() > 1) tensor.bytes[0] ^= std::byte{1};
  changed_.write_packed(packed(), manifest);
  const VerifyResult result = verify(false);
  ASSERT_EQ(result.problems.size(), 101u);
  EXPECT_EQ(result.problems.back().name, "");
  EXPECT_EQ(result.problems.back().what, "20 more problems");
}

TEST_F(Verify, StopsWhenTold) {
  example().write_packed(packed());
  const std::atomic<bool> stop = true;
  RunOptions run;
  run.stop = &stop;
  EXPECT_THROW(verify(true, run), Interrupted);
}

}  // namespace
}  // namespace afp
