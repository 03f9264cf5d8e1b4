"""What records say beyond the board: two systems compared, generalisation analysed, predictions scored anew."""
