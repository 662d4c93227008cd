import cluster, { type ClusterSettings, type Worker } from 'node:cluster'
import { connectionLimitsOf } from '../server/connection-limits'
import { ASSIGNMENT, type Assignment } from './messages'
import type { PreforkPlan } from './prefork-options'

/**
 * Starts a worker of node:cluster that inherits a listening socket in addition to the cluster's settings. Restores
 * these settings before it returns.
 */
export function spawnWorker(plan: PreforkPlan, slot: number, listener: number | undefined): Worker {
  const { exec, args, host, port, ipv6Only, backlog, steering, signals } = plan
  const before = { ...cluster.settings }
  const inherited = stdioOf(before)
  const assignment: Assignment = {
    slot,
    fd: listener === undefined ? undefined : inherited.length,
    address: { port, host, ipv6Only },
    backlog,
    steering,
    signals,
    limits: connectionLimitsOf(plan),
    overMs: plan.shutdownOverMs,
  }
  cluster.setupPrimary({
    ...(exec === undefined ? {} : { exec }),
    ...(args === undefined ? {} : { args: [...args] }),
    ...(listener === undefined ? {} : { stdio: [...inherited, listener] }),
  })
  try {
    return cluster.fork({ [ASSIGNMENT]: JSON.stringify(assignment) })
  } finally {
    restore(before)
  }
}

/** Passes all changed settings: setupPrimary() keeps those that it does not get. */
function restore({ exec, args, stdio }: ClusterSettings): void {
  cluster.setupPrimary({
    exec: exec ?? process.argv[1],
    args: args ?? process.argv.slice(2),
    stdio,
  })
}

/** The `stdio` of a worker by the cluster's own settings. */
function stdioOf({ stdio, silent = false }: ClusterSettings): unknown[] {
  if (Array.isArray(stdio)) return stdio
  const each = typeof stdio === 'string' ? stdio : silent ? 'pipe' : 'inherit'
  return [each, each, each, 'ipc']
}
