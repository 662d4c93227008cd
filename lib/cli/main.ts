#!/usr/bin/env node
/** The socket-tuner command. `socket-tuner help` explains the exit codes. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { UsageError, parseCommand, usage, type Command } from './arguments'
import { printDemo } from './demo-command'
import { runDoctor } from './doctor-command'
import { runLife } from './life-command'
import { printOptions } from './options-command'
import { runStress } from './stress-command'
import { runMerge } from './stress-merge'
import { runTop } from './top/command'

function version(): string {
  const file = join(__dirname, '..', '..', 'package.json')
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}

async function run(command: Command): Promise<number> {
  switch (command.name) {
    case 'help':
      process.stdout.write(usage(command.of))
      return 0
    case 'version':
      console.log(version())
      return 0
    case 'options':
      printOptions(command.option, command.json)
      return 0
    case 'demo':
      return printDemo(command)
    case 'doctor':
      return runDoctor(command)
    case 'stress':
      return runStress(command)
    case 'stress merge':
      return runMerge(command)
    case 'life':
      await runLife(command)
      return 0
    case 'top':
      await runTop(command)
      return 0
  }
}

/** The fix for an error whose message does not name one. */
function fixOf(error: unknown): string | undefined {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOTFOUND':
      return 'Correct the host name of the target, or use an IP address.'
    case 'EAI_AGAIN':
      return 'The resolver does not answer. Try again, or use an IP address.'
    case 'EMFILE':
    case 'ENFILE':
      return "No descriptor is left. Raise 'ulimit -n', or close other programs."
    case 'EPERM':
    case 'EACCES':
      return 'A sandbox forbids it. Allow NETLINK_SOCK_DIAG sockets.'
    default:
      return undefined
  }
}

async function main(): Promise<void> {
  // `socket-tuner options | head` closes the pipe early. That is not a failure, but must not hide one of --fail-on.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? (process.exitCode ?? 0) : 1)
  })
  // Standard error is closed, so there is no place to report an error.
  process.stderr.on('error', () => undefined)
  try {
    process.exitCode = await run(parseCommand(process.argv.slice(2)))
  } catch (error) {
    const misused = error instanceof UsageError
    const code = misused ? ` (${error.code})` : ''
    console.error(`socket-tuner: ${error instanceof Error ? error.message : String(error)}${code}`)
    const hint = fixOf(error)
    if (hint !== undefined) console.error(hint)
    if (misused) console.error("See 'socket-tuner help'.")
    process.exitCode = misused ? 2 : 1
  }
}

void main()
