// A Gaussian process over the plane of bits and exponent bits, and over which of several columns at one
// place. See Rasmussen and Williams, "Gaussian Processes for Machine Learning" (2006), chapters 2 and 5.
#pragma once

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <cstddef>
#include <optional>
#include <vector>

namespace afp::search_detail {

class GaussianProcess {
 public:
  struct Place {
    double bits, exponent_bits;
    double slot;  // number among the columns at the place
  };

  // Chooses lengths and noise by likelihood among a few, or keeps those of the last time. At least one
  // observation, not two of one place.
  void fit(const std::vector<Place>& places, const std::vector<double>& values, bool keep_scales);

  struct Prediction {
    double mean;
    double deviation;
  };
  Prediction predict(const Place& place) const;

 private:
  struct Scales {
    double bits, exponent_bits, slot, noise;
  };
  static double kernel(const Place& a, const Place& b, const Scales& scales);
  double fit_scales(const Scales& scales, const Eigen::VectorXd& values);

  std::vector<Place> places_;
  Scales scales_{};
  std::optional<Eigen::LLT<Eigen::MatrixXd>> factor_;  // none before fit()
  Eigen::VectorXd weights_;                            // of the observations, in a mean
  double mean_ = 0.0;
  double variance_ = 0.0;
};

}  // namespace afp::search_detail
