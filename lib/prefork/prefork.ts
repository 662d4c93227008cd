import cluster from 'node:cluster'
import { isMainThread } from 'node:worker_threads'
import { SocketTunerError } from '../errors'
import { announce } from '../warnings'
import { Group, type PreforkGroup } from './group'
import {
  checkPreforkOptions,
  checkServe,
  type PreforkOptions,
  type PreforkPlan,
} from './prefork-options'
import { assignmentOf, work } from './worker'

let running = false

/**
 * Serves one port with several processes: workers of node:cluster that run this same file. Each has its own
 * listening socket (SO_REUSEPORT, socket(7)), so a connection goes from the kernel straight to its worker. Workers
 * that end are restarted.
 *
 * The primary opens the sockets and keeps them open. A waiting connection is therefore not lost when a worker ends,
 * crashes or is replaced: the next worker accepts it.
 *
 * In the primary, resolves with the group when all workers listen. In a worker, resolves with undefined when `serve`
 * has returned. SO_REUSEPORT balances connections on Linux only. On other systems the workers share one socket
 * through node:cluster, with a warning, and `settings` are refused.
 *
 * @throws (as a rejection) ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE; EADDRINUSE, EACCES and
 *   EADDRNOTAVAIL as `listen()` does; ERR_SOCKET_TUNER_PREFORK_CRASHES if workers keep ending right after their
 *   start; ERR_SOCKET_TUNER_PREFORK_PLACE. No process and no open port is left then. In a worker: what `serve` throws
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

/** @throws ERR_SOCKET_TUNER_UNSUPPORTED for settings if node:cluster opens the socket */
function forThisPlatform(plan: PreforkPlan): PreforkPlan {
  const isShared = plan.steering === 'cluster' || process.platform !== 'linux'
  if (!isShared) return plan
  if (Object.values(plan.settings).some((value) => value !== undefined)) {
    throw new SocketTunerError(
      'node:cluster opens the listening socket that the workers share: nothing can be set before it is bound',
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
