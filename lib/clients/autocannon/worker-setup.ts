/**
 * The module that autocannon's workers get as `setupClient`. Each worker loads it once. It reads its own options from
 * those that autocannon passes to the worker.
 */
import { workerData } from 'node:worker_threads'
import { setupOfTask, TASK, type Task } from './setup'
import { unsupported } from './tune-client'

interface WorkerData {
  readonly opts?: { readonly [TASK]?: Task }
}

const task = (workerData as WorkerData | null)?.opts?.[TASK]
if (task === undefined) throw unsupported()

export = setupOfTask(task)
