/**
 * The module that autocannon's workers are given as `setupClient`: it is loaded once in each of them,
 * and finds what it has to do among the options that autocannon hands to them.
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
