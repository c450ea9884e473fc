// The sounds of a result, made on the spot: no files, nothing to load. Each differs from the
// others in direction, rhythm and pitch. There is none when a card is merely seen.
export const SCORES = {
  // [start s, length s, from Hz, to Hz, wave]
  approve: [[0, 0.1, 660, 660, "sine"], [0.11, 0.11, 990, 990, "sine"]],
  retry: [[0, 0.11, 520, 520, "triangle"], [0.19, 0.11, 520, 520, "triangle"]],
  decline: [[0, 0.55, 300, 150, "sawtooth"]],
};

// Plays a score on any audio context, also an offline one; returns its length in seconds.
export function play(context, name, at = context.currentTime) {
  let end = 0;
  for (const [start, length, from, to, wave] of SCORES[name] ?? []) {
    const tone = context.createOscillator();
    const level = context.createGain();
    tone.type = wave;
    tone.frequency.setValueAtTime(from, at + start);
    tone.frequency.linearRampToValueAtTime(to, at + start + length);
    level.gain.setValueAtTime(0.0001, at + start);
    level.gain.exponentialRampToValueAtTime(0.4, at + start + 0.012);
    level.gain.setValueAtTime(0.4, at + start + length - 0.03);
    level.gain.exponentialRampToValueAtTime(0.0001, at + start + length);
    tone.connect(level).connect(context.destination);
    tone.start(at + start);
    tone.stop(at + start + length);
    end = Math.max(end, start + length);
  }
  return end;
}
