/** What a run and its workers send each other. The messages are cloned (HTML, StructuredSerialize). */
import type { StressOptions } from './options'
import type { Part, PartSnapshot, Share } from './part'
import type { StressTargetInfo } from './result'

/** To a worker. */
export type ToWorker =
  | {
      readonly kind: 'job'
      /** Those of its part. */
      readonly options: StressOptions
      readonly share: Share
      readonly target: StressTargetInfo
      /** The time between two messages `alive`, ms. */
      readonly beatMs: number
    }
  /** `atNs` is a time of process.hrtime.bigint(), whose clock is that of all processes: CLOCK_MONOTONIC on Linux. */
  | { readonly kind: 'start'; readonly atNs: bigint }
  | { readonly kind: 'abort' }

/** From a worker, in this order for each job; `failed` in place of any of them, and `alive` between them. */
export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'alive' }
  | { readonly kind: 'snapshot'; readonly snapshot: PartSnapshot }
  | { readonly kind: 'part'; readonly part: Part }
  | { readonly kind: 'failed'; readonly message: string }
