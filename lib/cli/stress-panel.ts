/** Renders what `socket-tuner stress` shows while it runs. */
import type { StressPlan, StressSnapshot } from '../stress'
import { MOST_BUSY } from '../stress/limits'
import { cut, paint, sparkline, type Look, type TextFormat } from './look'
import { duration, perSecond, planParts } from './stress-report'
import { NOT_KNOWN, align, count, wrap } from './text'

/** The content of the panel. */
export interface PanelState {
  readonly url: string
  /** The plan of the current run. */
  readonly plan: StressPlan
  readonly progress: PanelProgress
  /** The newest snapshot of the current run; undefined before the first. */
  readonly snapshot: StressSnapshot | undefined
  /** Failed requests since the command began. */
  readonly failed: number
  /** Answers per second of each interval since the command began. */
  readonly rates: readonly number[]
  /** The rounds that have ended, each as cells. Empty for a single run. */
  readonly rounds: readonly (readonly string[])[]
  /** `l` or `r` for each cell of a round. */
  readonly roundSides: string
  /** Warnings. */
  readonly notes: readonly string[]
  /** The user has ended the command, and it waits for the last answers. */
  readonly isEnding: boolean
}

export interface PanelProgress {
  readonly text: string
  /** 0 to 1. */
  readonly share: number
  /** Undefined if it is not known. */
  readonly secondsLeft: number | undefined
}

/** A part of a line. Those that do not fit are left out. */
interface LinePart {
  readonly text: string
  readonly format?: TextFormat | undefined
}

interface PanelRow {
  readonly parts: readonly LinePart[]
  /** Rows with the highest number are left out first where not all fit. */
  readonly rank: number
}

const LABEL = 13
const GAP = '  '
const BAR = { least: 6, most: 40 }
const SPARKS = { least: 5, most: 60 }
/** A forecast below it is marked. */
const SOON_S = 60
/** A lower share of the planned rate is marked. */
const BELOW_PLAN = 0.95
const UNKNOWN: LinePart = { text: NOT_KNOWN }
const SPACE: PanelRow = { parts: [], rank: 12 }

/** The lines, at most `height` of them. */
export function panelLines(state: PanelState, look: Look, height: number): string[] {
  const rows = [
    titleRow(state),
    { parts: planParts(state.plan).map((text) => ({ text })), rank: 11 },
    SPACE,
    progressRow(state.progress, look),
    SPACE,
    rateRow(state, look),
    latencyRow(state),
    errorsRow(state),
    ...kernelRows(state),
    SPACE,
    ...roundRows(state),
    ...(state.rounds.length === 0 ? [] : [SPACE]),
    ...state.notes
      .flatMap((note) => wrap(note, '', look.width))
      .map((text): PanelRow => ({ parts: [{ text, format: 'yellow' }], rank: 10 })),
    { parts: [{ text: hintOf(state) }], rank: 5 },
  ]
  return fitting(rows, height).map(({ parts }) => lineOf(parts, look))
}

/** Leaves out the rows that matter least; of equal ones, the last. */
function fitting(rows: readonly PanelRow[], height: number): PanelRow[] {
  const kept = rows
    .map(({ rank }, at) => ({ rank, at }))
    .toSorted((a, b) => a.rank - b.rank || a.at - b.at)
    .slice(0, height)
    .map(({ at }) => at)
  return rows.filter((_, at) => kept.includes(at))
}

/** The parts that fit, beginning with the first. */
function lineOf(parts: readonly LinePart[], look: Look): string {
  let line = ''
  let used = 0
  for (const { text, format } of parts) {
    const gap = used === 0 ? '' : GAP
    const shown = ascii(text, look)
    const isCut = used + gap.length + shown.length > look.width
    // The first part names the subject of the line.
    if (isCut && used > 0) break
    const visible = isCut ? cut(shown, look) : shown
    line += gap + (format === undefined ? visible : paint(visible, format, look))
    used += gap.length + visible.length
  }
  return line
}

function ascii(text: string, { unicode }: Look): string {
  return unicode ? text : text.replaceAll('µ', 'u')
}

function labelled(label: string, rank: number, parts: readonly LinePart[]): PanelRow {
  const [first, ...others] = parts
  if (first === undefined) return { parts, rank }
  return { parts: [{ ...first, text: label.padEnd(LABEL) + first.text }, ...others], rank }
}

function titleRow({ url }: PanelState): PanelRow {
  return { parts: [{ text: url, format: 'bold' }], rank: 0 }
}

function progressRow({ text, share, secondsLeft }: PanelProgress, look: Look): PanelRow {
  const left = secondsLeft === undefined ? '' : `${clock(secondsLeft)} left`
  const room = look.width - text.length - left.length - 2 * GAP.length
  const length = Math.min(BAR.most, room)
  const bar: LinePart[] =
    length < BAR.least ? [] : [{ text: barOf(share, length, look), format: 'cyan' }]
  return { parts: [{ text }, ...bar, { text: left }], rank: 1 }
}

function barOf(share: number, length: number, { unicode }: Look): string {
  const done = Math.round(Math.min(1, Math.max(0, share)) * length)
  return (unicode ? '█' : '#').repeat(done) + (unicode ? '░' : '.').repeat(length - done)
}

function clock(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds))
  if (whole < 60) return `${String(whole)} s`
  const minutes = Math.floor(whole / 60)
  const rest = (base: number, value: number): string => String(value % base).padStart(2, '0')
  if (minutes < 60) return `${String(minutes)}:${rest(60, whole)} min`
  return `${String(Math.floor(minutes / 60))}:${rest(60, minutes)} h`
}

function rateRow({ snapshot, plan, rates }: PanelState, look: Look): PanelRow {
  const { ratePerSecond } = plan
  const rate = snapshot === undefined ? undefined : perSecond(snapshot, snapshot.answered)
  const isBelow =
    rate !== undefined &&
    ratePerSecond !== null &&
    snapshot?.stage === 'measure' &&
    rate < BELOW_PLAN * ratePerSecond
  const parts: LinePart[] = [
    {
      text: rate === undefined ? NOT_KNOWN : `${count(rate)}/s`,
      format: isBelow ? 'yellow' : undefined,
    },
    ...(ratePerSecond === null ? [] : [{ text: `of ${count(ratePerSecond)}/s` }]),
  ]
  const row = labelled('rate', 2, parts)
  const used = row.parts.reduce((sum, { text }) => sum + text.length + GAP.length, 0)
  const room = Math.min(SPARKS.most, look.width - used)
  if (room < SPARKS.least || rates.length < 2) return row
  const shown = rates.slice(-room)
  const top = Math.max(...shown, ratePerSecond ?? 0, 1)
  const chart = sparkline(
    shown.map((each) => each / top),
    room,
    look,
  )
  return { ...row, parts: [...row.parts, { text: chart, format: 'cyan' }] }
}

function latencyRow({ snapshot }: PanelState): PanelRow {
  // Without answers there is no latency, which must not look like a low one.
  const latency = snapshot !== undefined && snapshot.answered > 0 ? snapshot.latencyMs : undefined
  const shown = (name: 'p50' | 'p99' | 'max'): LinePart => ({
    text: `${name} ${latency === undefined ? NOT_KNOWN : duration(latency[name])}`,
  })
  return labelled('latency', 3, [shown('p50'), shown('p99'), shown('max')])
}

function errorsRow({ snapshot, failed }: PanelState): PanelRow {
  const now = snapshot === undefined ? 0 : perSecond(snapshot, snapshot.failed)
  return labelled('errors', 4, [
    { text: count(failed), format: failed > 0 ? 'red' : undefined },
    ...(now > 0 ? [{ text: `${count(now)}/s`, format: 'red' } as const] : []),
  ])
}

/** The rows about connections, ports and the generator. They are there before the first snapshot, too. */
function kernelRows({ snapshot, plan }: PanelState): PanelRow[] {
  const { timeWait = null, portsFree = null, secondsUntilExhaustion: end = null } = snapshot ?? {}
  const isLimit = plan.loop === 'closed' && (snapshot?.eventLoopBusy ?? 0) > MOST_BUSY
  return [
    labelled('connections', 8, snapshot === undefined ? [UNKNOWN] : connectionParts(snapshot)),
    labelled('TIME_WAIT', 9, [timeWait === null ? UNKNOWN : { text: count(timeWait) }]),
    labelled('ports', 7, [
      portsFree === null
        ? UNKNOWN
        : { text: `${count(portsFree)} free`, format: portsFree === 0 ? 'red' : undefined },
      ...(end === null
        ? []
        : [{ text: `none in ${clock(end)}`, format: end < SOON_S ? 'red' : 'yellow' } as const]),
    ]),
    labelled('generator', 11, [
      snapshot === undefined
        ? UNKNOWN
        : {
            text: `event loop ${(100 * snapshot.eventLoopBusy).toFixed(0)} % busy`,
            format: isLimit ? 'yellow' : undefined,
          },
    ]),
  ]
}

function connectionParts(snapshot: StressSnapshot): LinePart[] {
  const { connectionsOpen, connectionsOpened, waiting } = snapshot
  return [
    { text: `${count(connectionsOpen)} open` },
    { text: `${count(perSecond(snapshot, connectionsOpened))}/s opened` },
    ...(waiting > 0 ? [{ text: `${count(waiting)} waiting`, format: 'yellow' } as const] : []),
  ]
}

/** The newest round matters most. */
function roundRows({ rounds, roundSides }: PanelState): PanelRow[] {
  const lines = align(rounds, roundSides)
  return lines.map((text, at) => {
    const age = lines.length - 1 - at
    return { parts: [{ text }], rank: age === 0 ? 6 : age === 1 ? 9 : 12 + age }
  })
}

function hintOf({ isEnding }: PanelState): string {
  return isEnding ? 'Ending. Ctrl-C again: exit at once' : 'Ctrl-C ends it with the results so far'
}
