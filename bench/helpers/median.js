'use strict'

/** Returns the median of numbers. createHistogram() of node:perf_hooks would round ratios to integers. */
function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
}

module.exports = { median }
