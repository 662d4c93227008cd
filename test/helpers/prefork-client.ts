/** The counts of the program prefork-client. */
import type { Program } from './program'
import { until } from './until'

export interface ClientSeen {
  answered: number
  /** The answered requests on reused connections. */
  onKept: number
  failed: Record<string, number>
  pids: Record<string, number>
  underWay: number
}

export async function seenBy(program: Program): Promise<ClientSeen> {
  return (await program.ask('seen')) as ClientSeen
}

/** Returns the counts once every request was answered or has failed. */
export function finished(program: Program): Promise<ClientSeen> {
  return until(
    'all requests are over',
    () => seenBy(program),
    ({ underWay }) => underWay === 0,
  )
}

export async function stopped(program: Program): Promise<ClientSeen> {
  await program.ask('stop')
  return finished(program)
}

export async function answered(program: Program, more: number): Promise<void> {
  const { answered: before } = await seenBy(program)
  await until(
    `${String(more)} more requests are answered`,
    () => seenBy(program),
    ({ answered: now, failed }) => now >= before + more || Object.keys(failed).length > 0,
  )
}
