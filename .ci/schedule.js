'use strict'

/**
 * schedule.js [NAME...]: runs the steps of steps.js, several at a time. Prints a line with the time of each step, and for
 * a failing step the reason from its log and the command that repeats it. Logs are in .cache/ci. A failure does not stop
 * the other steps. The last line has the totals.
 */
const { spawn } = require('node:child_process')
const { createWriteStream, mkdirSync, readFileSync, rmSync } = require('node:fs')
const { availableParallelism } = require('node:os')
const { join } = require('node:path')
const { setUp, steps } = require('./steps')

const root = join(__dirname, '..')
const folder = join(root, '.cache', 'ci')
/** The most lines to print, of a log and of one failed test. */
const LAST_LINES = 60
const LINES_OF_A_TEST = 40
/** The time limit of a step, minutes. */
const LONGEST = { ci: 45, full: 90 }[process.env.PROOFS] ?? 45

/** The steps that run at a time. Tests spend a third of their time waiting, so one more than there are processors. */
const AT_A_TIME = availableParallelism() + 1

const started = performance.now()
const totals = { passed: 0, failed: 0 }
const running = new Map()

function secondsSince(time) {
  return ((performance.now() - time) / 1000).toFixed(0)
}

function pathOf({ name }, extension) {
  return join(folder, `${name.replaceAll(/[^a-zA-Z0-9]+/g, '-')}.${extension}`)
}

/** Resolves with the exit status when the step has ended and its output is complete. */
function execute(step) {
  const { command, isSuite } = step
  const result = pathOf(step, 'json')
  rmSync(result, { force: true })
  const whole = isSuite ? `${command} --json --outputFile='${result}'` : command
  // The last line of its log has the processor time, in seconds.
  const line = `TIMEFORMAT='processor time %U %S'; time { ${whole}; }`
  return new Promise((resolve) => {
    const log = createWriteStream(pathOf(step, 'log'))
    // A separate process group, so that a step that hangs is killed with all its child processes.
    const child = spawn('bash', ['-c', line], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    running.set(child, step)
    const timer = setTimeout(() => {
      log.write(`\nended after ${String(LONGEST)} minutes\n`)
      kill(child)
    }, LONGEST * 60_000)
    child.stdout.pipe(log, { end: false })
    child.stderr.pipe(log, { end: false })
    child.once('exit', () => {
      clearTimeout(timer)
      // A process that outlives its step keeps the pipes open and would delay 'close'.
      kill(child)
    })
    child.once('close', (code, signal) => {
      running.delete(child)
      log.end(() => resolve(code ?? signal))
    })
  })
}

function kill(child) {
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch (error) {
    if (error.code !== 'ESRCH') throw error
  }
}

/** Returns the numbers of passed and failed checks, their summary, and the reasons of the failures. */
function outcomeOf(step, status) {
  if (!step.isSuite) {
    return { passed: status === 0 ? 1 : 0, failed: status === 0 ? 0 : 1, counts: '', reasons: [] }
  }
  const result = readResult(pathOf(step, 'json'))
  const passed = result?.numPassedTests ?? 0
  const skipped = (result?.numPendingTests ?? 0) + (result?.numTodoTests ?? 0)
  const broken = (result?.numFailedTests ?? 0) + (result?.numRuntimeErrorTestSuites ?? 0)
  const isFailed = status !== 0 || passed === 0
  const failed = isFailed ? Math.max(broken, 1) : broken
  const counts = `${String(passed)} passed, ${String(failed)} failed, ${String(skipped)} skipped, `
  return { passed, failed, counts, reasons: result === undefined ? [] : reasonsIn(result) }
}

function processorTimeIn(lines) {
  const [, user = NaN, system = NaN] = /^processor time (\S+) (\S+)$/.exec(lines.at(-1)) ?? []
  return (Number(user) + Number(system)).toFixed(0)
}

function readResult(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    // The run ended without a result; its log has the reason.
    return undefined
  }
}

function reasonsIn({ testResults }) {
  return testResults.flatMap(({ name, message, assertionResults }) => {
    const failures = assertionResults.filter(({ status }) => status === 'failed')
    if (failures.length === 0 && message !== '' && assertionResults.length === 0) {
      return [`${name}\n${shortened(message)}`]
    }
    return failures.map(
      ({ fullName, failureMessages }) =>
        `${name}: ${fullName}\n${shortened(failureMessages.join('\n'))}`,
    )
  })
}

function shortened(text) {
  return text.split('\n').slice(0, LINES_OF_A_TEST).join('\n')
}

async function run(step) {
  const begun = performance.now()
  const status = await execute(step)
  const { passed, failed, counts, reasons } = outcomeOf(step, status)
  totals.passed += passed
  totals.failed += failed
  const lines = readFileSync(pathOf(step, 'log'), 'utf8').trimEnd().split('\n')
  const word = failed === 0 ? 'ok    ' : 'FAILED'
  const time = `${secondsSince(begun)} s, ${processorTimeIn(lines)} s of processor time`
  console.log(`${word} ${step.name}: ${counts}${time}`)
  for (const line of lines.filter((line) => step.shows?.test(line))) console.log(`         ${line}`)
  if (failed === 0) return true
  for (const reason of reasons) console.log(`\n${reason}`)
  if (reasons.length === 0) console.log(lines.slice(-LAST_LINES).join('\n'))
  console.log(`\n  exit status ${String(status)}; the log is ${pathOf(step, 'log')}`)
  console.log(`  to repeat it: CI=true PROOFS=${process.env.PROOFS} ${step.command}\n`)
  return false
}

/** Runs the steps, `AT_A_TIME` of them at a time. */
async function runAll(wanted) {
  const queue = [...wanted]
  const atWork = new Map()
  while (queue.length > 0 || atWork.size > 0) {
    const isReady = ({ after }) => ![...queue, ...atWork.keys()].some(({ name }) => name === after)
    const next = queue.findIndex(isReady)
    if (next === -1 || atWork.size === AT_A_TIME) {
      await Promise.race(atWork.values())
      continue
    }
    const [step] = queue.splice(next, 1)
    atWork.set(
      step,
      run(step).then(() => atWork.delete(step)),
    )
  }
}

async function main(names) {
  mkdirSync(folder, { recursive: true })
  const isWanted = ({ name }) => names.length === 0 || names.some((word) => name.includes(word))
  const wanted = steps.filter(isWanted)
  if (wanted.length === 0)
    throw new Error(`no step has one of these in its name: ${names.join(', ')}`)
  let isSetUp = true
  for (const step of names.length === 0 ? setUp : []) isSetUp &&= await run(step)
  if (isSetUp) await runAll(wanted)
  console.log(`\nin ${(Number(secondsSince(started)) / 60).toFixed(1)} minutes`)
  console.log(`${String(totals.passed)} passed, ${String(totals.failed)} failed`)
  process.exitCode = totals.failed === 0 ? 0 : 1
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    for (const child of running.keys()) kill(child)
    process.exit(1)
  })
}

void main(process.argv.slice(2))
