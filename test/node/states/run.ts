/** Runs program.js for the given states, and after each crash again for those that it had not reached. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import * as path from 'node:path'
import type { Certificate } from '../../helpers/certificate'

const PROGRAM = path.join(__dirname, 'program.js')

export interface Findings {
  /** By call: 'value', the code of a documented error, or a text about any other error. */
  readonly outcomes: Record<string, string>
  readonly troubles: string[]
}

/** A line that the program prints: one before the calls of a group, and one with the findings after them. */
interface Line {
  readonly name: string
  readonly calls: readonly string[]
  readonly outcomes?: Record<string, string>
  readonly troubles?: readonly string[]
}

/** @param inThread whether each process uses a worker thread */
export async function runStates(
  names: readonly string[],
  certificate: Certificate,
  inThread = false,
): Promise<Map<string, Findings>> {
  const all = new Map<string, Findings>(names.map((name) => [name, { outcomes: {}, troubles: [] }]))
  for (let left = names; left.length > 0;) {
    const { lines, crash } = await run(left, certificate, inThread)
    for (const { name, calls, outcomes = {}, troubles = [] } of lines) {
      const findings = all.get(name)
      Object.assign(findings?.outcomes ?? {}, outcomes)
      findings?.troubles.push(...troubles.map((trouble) => `${calls.join(', ')}: ${trouble}`))
    }
    if (crash === undefined) break
    const { name = left[0] ?? '', calls = ['the start'] } = lines.at(-1) ?? {}
    all.get(name)?.troubles.push(`the process ended in ${calls.join(', ')}: ${crash}`)
    left = left.slice(left.indexOf(name) + 1)
  }
  return all
}

async function run(
  names: readonly string[],
  certificate: Certificate,
  inThread: boolean,
): Promise<{ lines: Line[]; crash: string | undefined }> {
  const task = JSON.stringify({ names, certificate, inThread })
  // With a small young generation, a fifth of the processor time would be spent on collections.
  const program = spawn(process.execPath, ['--max-semi-space-size=64', PROGRAM, task])
  let [output, errors] = ['', '']
  program.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  program.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  const [code, signal] = (await once(program, 'close')) as [number | null, string | null]
  const lines = output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Line)
  const crash = code === 0 ? undefined : `${String(code ?? signal)} ${errors.slice(-2_000)}`
  return { lines, crash }
}
