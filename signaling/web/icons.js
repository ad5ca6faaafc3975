// Icons, drawn for this page.

import { svg } from './dom.js';

export const logo = () => svg('M2.500 12C5 7.500 8.300 5.200 12 5.200s7 2.300 9.500 6.800c-2.500 4.500-5.800 6.800-9.500 6.800S5 16.500 2.500 12z', 'M6 12h12', 'M14.200 12a2.200 2.200 0 1 1-4.400 0 2.200 2.200 0 0 1 4.400 0z');
export const camera = () => svg('M3 8.500A2.500 2.500 0 0 1 5.500 6h8A2.500 2.500 0 0 1 16 8.500v7a2.500 2.500 0 0 1-2.500 2.500h-8A2.500 2.500 0 0 1 3 15.500z', 'M16 11l5-3v8l-5-3');
export const lock = () => svg('M6 11h12v9H6z', 'M8.500 11V8a3.500 3.500 0 0 1 7 0v3');
export const unlocked = () => svg('M6 11h12v9H6z', 'M8.500 11V8a3.500 3.500 0 0 1 6.700-1.400');
export const play = () => svg('M8 5.500v13l10.500-6.500z');
export const stop = () => svg('M7 7h10v10H7z');
export const soundOff = () => svg('M4 9.500h3.500L12 6v12l-4.500-3.500H4z', 'M16 10l4.500 4.500', 'M20.500 10L16 14.500');
export const soundOn = () => svg('M4 9.500h3.500L12 6v12l-4.500-3.500H4z', 'M15.500 9a4.200 4.200 0 0 1 0 6', 'M18 6.500a7.700 7.700 0 0 1 0 11');
export const expand = () => svg('M4 9V4h5', 'M20 9V4h-5', 'M4 15v5h5', 'M20 15v5h-5');
export const back = () => svg('M14.500 5.500L8 12l6.500 6.500');
export const plus = () => svg('M12 5v14', 'M5 12h14');
export const screen = () => svg('M4 5h16v11H4z', 'M9 20h6', 'M12 16v4');
export const theme = () => svg('M12 4a8 8 0 1 0 8 8 6 6 0 0 1-8-8z');
