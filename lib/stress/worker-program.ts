/** A worker of a run: puts a part of the load on the target, once for each job, until its parent is gone. */
import { endWithParent, sendToParent } from '../demo/parent'
import { configure } from '../warnings'
import { Measurement } from './measurement'
import { stressOptions } from './options'
import { snapshotLatency } from './recorder'
import type { FromWorker, ToWorker } from './worker-messages'

interface Job {
  readonly beatMs: number
  readonly measurement: Measurement
  readonly abort: AbortController
}

function send(message: FromWorker): void {
  sendToParent(message)
}

function fail(error: unknown): void {
  send({ kind: 'failed', message: error instanceof Error ? error.message : String(error) })
}

function jobOf({ options, share, target, beatMs }: ToWorker & { kind: 'job' }): Job {
  const abort = new AbortController()
  // The parent has checked which options exclude each other.
  const checked = stressOptions.check('options', { ...options, signal: abort.signal })
  const measurement = new Measurement(
    { options: checked, share, target },
    ({ latency, ...snapshot }) => {
      const latencyMs = snapshotLatency(latency)
      const distribution = latency.distribution()
      send({ kind: 'snapshot', snapshot: { ...snapshot, latencyMs, latency: distribution } })
    },
  )
  return { measurement, abort, beatMs }
}

/** Moments are rounded to this part of a millisecond: sums of them and of whole milliseconds are then exact. */
const PARTS = 1_024

/** The same moment on the clock of performance.now(), ms. */
function momentOf(atNs: bigint): number {
  const ms = performance.now() + Number(atNs - process.hrtime.bigint()) / 1e6
  return Math.round(ms * PARTS) / PARTS
}

/** @param atMs the start, ms of performance.now() */
async function run({ measurement, beatMs }: Job, atMs: number): Promise<void> {
  const beats = setInterval(() => {
    send({ kind: 'alive' })
  }, beatMs)
  try {
    send({ kind: 'part', part: await measurement.run(atMs) })
  } catch (error) {
    fail(error)
  } finally {
    clearInterval(beats)
  }
}

let job: Job | undefined

function receive(message: ToWorker): void {
  switch (message.kind) {
    case 'job':
      job = jobOf(message)
      send({ kind: 'ready' })
      return
    case 'start':
      if (job !== undefined) void run(job, momentOf(message.atNs))
      return
    case 'abort':
      job?.abort.abort()
  }
}

endWithParent(() => process.exit())
// The probe of the parent has caused the same warnings.
configure({ hazards: 'ignore' })
process.on('message', (message) => {
  try {
    receive(message as ToWorker)
  } catch (error) {
    fail(error)
  }
})
