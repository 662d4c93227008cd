/** Numbers of the report as text. */
import type { FigureUnit } from '../figures'
import { html, type Html } from './html'

/** `share` is from 0 to 1, and is shown as a percentage. */
export type ShownUnit = FigureUnit | 'share' | 'ratio'

/** The units as the head of a table names them. */
export const units: Readonly<Record<ShownUnit, string>> = {
  count: '',
  perSecond: 'per s',
  ms: 'ms',
  percent: '%',
  share: '%',
  ratio: '',
}

/** A figure without its unit: 28,232, or three significant digits below 100. */
export function figureText(value: number, unit: ShownUnit): string {
  const shown = unit === 'share' ? value * 100 : value
  if (unit === 'count' || Math.abs(shown) >= 100) return Math.round(shown).toLocaleString('en-US')
  return String(Number(shown.toPrecision(3)))
}

/** A figure with the value as the result has it, for programs. */
export function figure(value: number | null, unit: ShownUnit): Html {
  if (value === null) return html`<span class="unknown">n/a</span>`
  return html`<data value="${value}">${figureText(value, unit)}</data>`
}

/** A duration with its unit. */
export function durationText(ms: number): string {
  if (ms >= 1_000) return `${figureText(ms / 1_000, 'ms')} s`
  if (ms >= 1 || ms === 0) return `${figureText(ms, 'ms')} ms`
  return `${figureText(ms * 1_000, 'ms')} µs`
}

/** The number, followed by `one` or `many`. */
export function countText(value: number, one: string, many = `${one}s`): string {
  return `${figureText(value, 'count')} ${value === 1 ? one : many}`
}
