/** The entry `socket-tuner/stress`: puts load on a server and measures it. */
export { preflight, stress } from './stress'
export { compareWithBaseline } from './baseline'
export {
  compare,
  type CompareOptions,
  type StressComparison,
  type StressComparisonRun,
  type StressTurn,
  type StressWay,
  type StressWayResult,
} from './compare'
export {
  findRate,
  type FindRateCause,
  type FindRateFailure,
  type FindRateOptions,
  type FindRateResult,
  type FindRateRound,
  type FindRateRun,
} from './find-rate'
export type { Estimate } from './estimate'
export type { StressRun } from './run'
export type { StressFinding } from './preflight'
export type { StressClose, StressOptions } from './options'
export { mergeResults } from './merge'
export { reportHtml } from './report/html-report'
export { LatencyHistogram, type LatencyDistribution, type Percentiles } from './latency-histogram'
export type {
  StressBaseline,
  StressBaselineFigure,
  StressCloses,
  StressConnections,
  StressCounter,
  StressError,
  StressGenerator,
  StressKernel,
  StressLimit,
  StressLimitCode,
  StressPhase,
  StressPhases,
  StressPlan,
  StressProtocol,
  StressRequests,
  StressResult,
  StressSnapshot,
  StressTargetInfo,
  StressWorker,
} from './result'
