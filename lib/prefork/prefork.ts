import cluster from 'node:cluster'
import { isMainThread } from 'node:worker_threads'
import { SocketTunerError } from '../errors'
import { announce } from '../warnings'
import { Group, type PreforkGroup } from './group'
import { checkPreforkOptions, checkServe, type PreforkOptions, type PreforkPlan } from './options'
import { assignmentOf, work } from './worker'

let running = false

/**
 * Serves one port by several processes, workers of node:cluster that run this same file, each with a
 * listening socket of its own (SO_REUSEPORT, socket(7)): a connection goes from the kernel straight to
 * the worker that serves it. Workers that end are started again.
 *
 * The primary opens the sockets and keeps them, so that no connection that waits is lost when a worker
 * ends, crashes or is replaced: whoever takes its place accepts it.
 *
 * In the primary it resolves with the group when all workers listen; in a worker with undefined when
 * `serve` has returned. Where SO_REUSEPORT does not balance, which is everywhere but on Linux, workers
 * share one socket as node:cluster does it, with a warning; `settings` are refused there.
 *
 * @throws (as a rejection) ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE; as `listen()`
 *   EADDRINUSE, EACCES, EADDRNOTAVAIL; ERR_SOCKET_TUNER_PREFORK_CRASHES when a worker ends at once again
 *   and again; ERR_SOCKET_TUNER_PREFORK_PLACE. No process and no port is left then. In a worker: what
 *   `serve` throws
 */
export async function prefork(options: PreforkOptions): Promise<PreforkGroup | undefined> {
  if (!isMainThread) throw misplaced('in a worker thread')
  if (running) throw misplaced('a second time in this process')
  if (cluster.isWorker) {
    const serve = checkServe(options)
    const assignment = assignmentOf(process.env)
    if (assignment === undefined) throw misplaced('in a cluster worker that it did not start')
    running = true
    await work(assignment, serve)
    return undefined
  }
  const plan = forThisPlatform(checkPreforkOptions(options))
  running = true
  try {
    const group = await Group.start(plan)
    void group.over.then(stopped)
    return group
  } catch (error) {
    stopped()
    throw error
  }
}

function stopped(): void {
  running = false
}

/** @throws ERR_SOCKET_TUNER_UNSUPPORTED for settings where the socket is node:cluster's */
function forThisPlatform(plan: PreforkPlan): PreforkPlan {
  const isShared = plan.steering === 'cluster' || process.platform !== 'linux'
  if (!isShared) return plan
  if (Object.values(plan.settings).some((value) => value !== undefined)) {
    throw new SocketTunerError(
      'The listening socket that workers share is made by node:cluster: nothing can be set before it is bound',
      { code: 'ERR_SOCKET_TUNER_UNSUPPORTED', syscall: 'listen' },
    )
  }
  if (plan.steering !== 'cluster') {
    announce(
      'SOCKET_TUNER_PREFORK_SHARED',
      process.platform,
      `SO_REUSEPORT does not balance on ${process.platform}: the ${String(plan.workers)} workers share one listening socket`,
    )
  }
  return { ...plan, steering: 'cluster' }
}

function misplaced(where: string): SocketTunerError {
  return new SocketTunerError(`prefork() was called ${where}`, {
    code: 'ERR_SOCKET_TUNER_PREFORK_PLACE',
  })
}
