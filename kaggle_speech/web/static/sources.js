/** Sources of sound: microphone and file. Each gives chunks at 16 kHz, mono, until it is stopped or ends. */

import { Resampler, toMono } from "./signal.js";

/** Why there is no sound, in words for the user. */
const REASONS = {
  NotAllowedError: "The browser refused the microphone. Allow it beside the address of the page, then press Start; or play a file.",
  NotFoundError: "No microphone was found. Plug one in and press Start; or play a file.",
  OverconstrainedError: "The chosen microphone is gone. Choose another one and press Start; or play a file.",
  NotReadableError: "The microphone is in use by another program, or switched off. Free it and press Start; or play a file.",
};
const NOT_SECURE = "The page is not secure, so the browser gives it no microphone. Open it by https:// or on localhost; a file can be played here.";
const NOT_PASSED_ON = "The page around this one does not pass the microphone on. Play a file here, or open the page by itself: `kaggle-speech page --serve`.";

/** Why no microphone can be had whatever the user does; null where one may be. */
export function microphoneObstacle() {
  if (!navigator.mediaDevices?.getUserMedia || !globalThis.AudioWorkletNode) return NOT_SECURE;
  const isPassedOn = (document.permissionsPolicy ?? document.featurePolicy)?.allowsFeature("microphone") ?? true;
  return isPassedOn ? null : NOT_PASSED_ON;
}

/** Microphones as `{deviceId, label}`; their names are known after the first permission. */
export async function microphones() {
  const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  return devices.filter(({ kind, deviceId, label }) => kind === "audioinput" && deviceId !== "default" && label);
}

/** Open an audio context at a sample rate; at that of the device where the browser cannot connect the two. */
function connect(stream, sampleRate) {
  for (const options of [{ sampleRate }, {}]) {
    const context = new AudioContext(options);
    try {
      return [context, context.createMediaStreamSource(stream)];
    } catch {
      context.close();
    }
  }
}

/**
 * Start the microphone. `onChunk(samples)` is called with each chunk, `onEnd(message)` where the device goes away.
 * Resolves with `{name, stop}`.
 */
export async function openMicrophone({ deviceId, settings, captureUrl, onChunk, onEnd }) {
  const obstacle = microphoneObstacle();
  if (obstacle) throw new Error(obstacle);
  const { sample_rate, chunk_samples, silent_device_s } = settings;
  const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1 };
  if (deviceId) audio.deviceId = { exact: deviceId };
  let [stream, context, source] = [];
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio });
    [context, source] = connect(stream, sample_rate);
    await context.audioWorklet.addModule(captureUrl);
    const numSamples = Math.round((chunk_samples * context.sampleRate) / sample_rate);
    const capture = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0, processorOptions: { numSamples } });
    const resampler = context.sampleRate === sample_rate ? null : new Resampler(context.sampleRate, sample_rate);
    const [track] = stream.getAudioTracks();
    const name = track.label || "microphone";
    const gone = () => onEnd(`${name} gives no sound any more. Plug it in again and press Start; or choose another one.`);
    let lastTime = performance.now();
    const watch = setInterval(() => performance.now() - lastTime > 1000 * silent_device_s && gone(), 500);
    const stop = () => {
      clearInterval(watch);
      capture.port.onmessage = track.onended = null;
      track.stop();
      context.close();
    };
    track.onended = gone;
    capture.port.onmessage = ({ data }) => {
      lastTime = performance.now();
      onChunk(resampler ? resampler.convert(data) : data);
    };
    source.connect(capture);
    await context.resume();
    return { name, stop };
  } catch (error) {
    stream?.getTracks().forEach((track) => track.stop());
    context?.close();
    throw new Error(REASONS[error.name] ?? `The microphone cannot be opened: ${error.message}`);
  }
}

/** Samples of an audio file, mono at a sample rate. */
export async function decodeFile(file, sampleRate) {
  const bytes = await file.arrayBuffer();
  let buffer;
  try {
    buffer = await new OfflineAudioContext(1, 1, sampleRate).decodeAudioData(bytes);
  } catch {
    throw new Error(`${file.name} must be an audio file (WAV, FLAC, MP3, OGG) that is whole. Received: ${file.type || "an unknown type"}, ${file.size} bytes.`);
  }
  return toMono(Array.from({ length: buffer.numberOfChannels }, (_, channel) => buffer.getChannelData(channel)));
}

/** Play a file, and give its chunks at the speed of playback. Resolves with `{name, stop}`; `onEnd()` at its end. */
export async function playFile({ file, settings, onChunk, onEnd }) {
  const { sample_rate, chunk_samples } = settings;
  const samples = await decodeFile(file, sample_rate);
  const context = new AudioContext({ sampleRate: sample_rate });
  const buffer = context.createBuffer(1, samples.length, sample_rate);
  buffer.copyToChannel(samples, 0);
  const player = new AudioBufferSourceNode(context, { buffer });
  player.connect(context.destination);
  player.start();
  let position = 0;
  let startTime = performance.now();
  const feed = () => {
    const numDue = ((performance.now() - startTime) / 1000) * sample_rate;
    const numLate = numDue - position - sample_rate; // the page slept: the file waits, a microphone would not
    if (numLate > 0) startTime += (1000 * numLate) / sample_rate;
    while (position + chunk_samples <= Math.min(numDue, samples.length)) {
      onChunk(samples.slice(position, (position += chunk_samples)));
    }
    if (numDue < samples.length) return;
    const rest = samples.slice(position);
    stop();
    if (rest.length) onChunk(rest);
    onEnd();
  };
  const timer = setInterval(feed, 20);
  const stop = () => {
    clearInterval(timer);
    context.close();
  };
  return { name: file.name, stop };
}
